/** One HTTP request that ended. Holds no header and no body, so no secret. */
export interface RequestEvent {
  /** As `individualEnrollments.get`. */
  readonly operation: string;
  readonly id: string | undefined;
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** Without the query string. */
  readonly path: string;
  /** 1 is the first. */
  readonly attempt: number;
  readonly durationInMs: number;
  /** Absent where no answer came. */
  readonly statusCode: number | undefined;
  /** Why no answer came, as `ECONNRESET`; `ABORTED` if the caller gave up. */
  readonly failureCode: string | undefined;
  readonly trackingId: string | undefined;
}

/** A wait before the next attempt, as it begins. */
export interface WaitEvent {
  readonly operation: string;
  readonly id: string | undefined;
  /** The attempt that failed; 1 is the first. */
  readonly attempt: number;
  readonly waitInMs: number;
  /** Whether the service said how long, by `Retry-After`. */
  readonly toldByService: boolean;
  readonly statusCode: number | undefined;
  readonly failureCode: string | undefined;
}

/** For metrics and logs. What a hook throws is ignored: it cannot break a call. */
export interface ClientHooks {
  /** Called after every HTTP request, the failed and the repeated ones, too. */
  onRequest?: ((event: RequestEvent) => void) | undefined;
  /** Called before every wait. */
  onWait?: ((event: WaitEvent) => void) | undefined;
}

/** Calls a hook, whatever it does. */
export function notify<T>(hook: ((event: T) => void) | undefined, event: T): void {
  try {
    hook?.(event);
  } catch {
    // An observer's trouble is not the caller's.
  }
}
