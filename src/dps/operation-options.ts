/** What every operation takes. */
export interface OperationOptions {
  /** Ends the call, also in the middle of a wait; it then rejects with the signal's reason. */
  abortSignal?: AbortSignal | undefined;
}

/** For operations on a record that may have changed. */
export interface ConditionalOptions extends OperationOptions {
  /** The etag that the record must have, or `*` for any that exists. */
  ifMatch?: string | undefined;
  /** Takes the etag from the given object: the operation fails if the record was changed since it was read. */
  onlyIfUnchanged?: boolean | undefined;
}

/** For operations on any number of records, which go out ten to a request. */
export interface ManyOptions extends OperationOptions {
  /** How many requests are under way at once; 4 by default. */
  concurrency?: number | undefined;
}

/** For updates of any number of records. */
export interface UpdateManyOptions extends ManyOptions {
  /** Replaces records whatever their version. Else each item needs its `etag`, or `*` as one. */
  unconditional?: boolean | undefined;
}
