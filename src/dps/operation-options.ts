import type { TracingContext } from '@azure/core-auth';
import type { DeviceProvisioningError } from './errors.ts';

/** What every operation takes. */
export interface OperationOptions {
  /** Ends the call, also in the middle of a wait; it then rejects with the signal's reason. */
  abortSignal?: AbortSignal | undefined;
  /** Called with every response, those of retried attempts included. What it throws is ignored. */
  onResponse?: RawResponseCallback | undefined;
  /** Where in a trace the call belongs. Spans are made by the client option `tracingClient`. */
  tracingOptions?: OperationTracingOptions | undefined;
}

/** As in `@azure/core-tracing`. */
export interface OperationTracingOptions {
  /** The parent of the call's span, and of what the credential does for the call. */
  tracingContext?: TracingContext;
}

/**
 * @param rawResponse - the response as it arrived.
 * @param flatResponse - its JSON; `undefined` if it is no success, or has none.
 * @param error - what the response means, unless it is a success.
 */
export type RawResponseCallback = (
  rawResponse: RawResponse,
  flatResponse: unknown,
  error?: DeviceProvisioningError,
) => void;

/** An HTTP response, read to its end. */
export interface RawResponse {
  readonly status: number;
  readonly headers: ResponseHeaders;
  /** May hold symmetric keys: do not log it. */
  readonly bodyAsText: string;
  /** The request, without its headers and its body. */
  readonly request: { readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'; readonly url: string };
}

/** Names are compared without case. */
export interface ResponseHeaders {
  get(name: string): string | undefined;
  has(name: string): boolean;
  /** All headers, with names in lower case; of several with one name, their values joined by a comma. */
  toJSON(): Record<string, string>;
}

/** Options of operations on a record that may have changed. */
export interface ConditionalOptions extends OperationOptions {
  /** The etag that the record must have, or `*` for any that exists. */
  ifMatch?: string | undefined;
  /** Takes the etag from the given object: the operation fails if the record was changed since it was read. */
  onlyIfUnchanged?: boolean | undefined;
}

/** Options of operations on any number of records, which are sent ten to a request. */
export interface ManyOptions extends OperationOptions {
  /** How many requests are in flight at once; 4 by default. */
  concurrency?: number | undefined;
}

/** Options of `createOrUpdate`. */
export interface CreateOrUpdateOptions extends ConditionalOptions {}
/** Options of `get`. */
export interface GetOptions extends OperationOptions {}
/** Options of `delete`. */
export interface DeleteOptions extends ConditionalOptions {}
/** Options of `getAttestationMechanism`. */
export interface GetAttestationMechanismOptions extends OperationOptions {}
/** Options of `query`. */
export interface QueryOptions extends OperationOptions {}
/** Options of `runBulkOperation`. */
export interface RunBulkOperationOptions extends OperationOptions {}
/** Options of `createMany`. */
export interface CreateManyOptions extends ManyOptions {}
/** Options of `updateMany`. */
export interface UpdateManyOptions extends ManyOptions {
  /** Replaces records whatever their version. Otherwise each item needs its `etag`, or `*` as one. */
  unconditional?: boolean | undefined;
}
/** Options of `deleteMany`. */
export interface DeleteManyOptions extends ManyOptions {}
