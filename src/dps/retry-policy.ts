/** How often and how patiently a call is repeated. Times are in milliseconds. */
export interface RetryOptions {
  /** Attempts after the first; 5 by default. 0: each call is one request, but for a refreshed token. */
  maxRetries?: number | undefined;
  /** The first wait, before jitter; it doubles from one attempt to the next. 500 by default. */
  retryDelayInMs?: number | undefined;
  /** No wait of this client's own choice is longer; 30,000 by default. `Retry-After` may be. */
  maxRetryDelayInMs?: number | undefined;
  /**
   * From a call's start, the time by which its last attempt has begun; 120,000 by default. A call gives up
   * at once, rather than early or late, if `Retry-After` points beyond it.
   */
  totalTimeInMs?: number | undefined;
}

export type ResolvedRetryOptions = { readonly [Name in keyof RetryOptions]-?: number };

export const defaultRetryOptions: ResolvedRetryOptions = {
  maxRetries: 5,
  retryDelayInMs: 500,
  maxRetryDelayInMs: 30_000,
  totalTimeInMs: 120_000,
};

export function resolveRetryOptions(options: RetryOptions = {}): ResolvedRetryOptions {
  const standard = defaultRetryOptions;
  return {
    maxRetries: options.maxRetries ?? standard.maxRetries,
    retryDelayInMs: options.retryDelayInMs ?? standard.retryDelayInMs,
    maxRetryDelayInMs: options.maxRetryDelayInMs ?? standard.maxRetryDelayInMs,
    totalTimeInMs: options.totalTimeInMs ?? standard.totalTimeInMs,
  };
}

const retriedStatuses: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

/** Whether a call that was answered so is sent again. */
export function isRetriedStatus(statusCode: number): boolean {
  return retriedStatuses.has(statusCode);
}

/** Whether the service may have carried the request out although it answered so. 429 says that it did not. */
export function mayHaveBeenCarriedOut(statusCode: number): boolean {
  return statusCode === 408 || statusCode >= 500;
}

/** Exponential, capped, with jitter between half of it and all of it, so that callers spread out. */
export function backoffInMs(attempt: number, options: ResolvedRetryOptions, random: () => number): number {
  const full = Math.min(options.maxRetryDelayInMs, options.retryDelayInMs * 2 ** (attempt - 1));
  return Math.round(full * (0.5 + random() / 2));
}

const httpDate = /^[A-Z][a-z]{2,8},? .*\d{2}:\d{2}:\d{2}/;

/**
 * Reads `Retry-After`: seconds, or an HTTP date (RFC 9110, 10.2.3), which is held against the answer's own
 * `Date` where there is one, as the two clocks need not agree. A malformed one is as good as none.
 */
export function parseRetryAfter(
  retryAfter: string | undefined,
  date: string | undefined,
  now: number,
): number | undefined {
  const text = retryAfter?.trim();
  if (!text) {
    return undefined;
  }
  if (/^\d+$/.test(text)) {
    return Number(text) * 1000;
  }
  const until = parseHttpDate(text);
  if (until === undefined) {
    return undefined;
  }
  return Math.max(0, until - (parseHttpDate(date) ?? now));
}

function parseHttpDate(text: string | undefined): number | undefined {
  // Date.parse alone takes far too much: "-5" is the year 2001 to it.
  if (!text || !httpDate.test(text)) {
    return undefined;
  }
  // The asctime form has no zone, and means UTC.
  const time = Date.parse(/GMT$/.test(text) ? text : `${text} GMT`);
  return Number.isNaN(time) ? undefined : time;
}
