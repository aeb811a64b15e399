import { STATUS_CODES } from 'node:http';

import type { RejectionReason } from '../events/rejection.ts';

/** What a route answers, in words of HTTP that no web framework owns. */
export interface HttpResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** One event of a request that is not as it should be. */
export interface EventError {
  readonly index: number;
  readonly pointer: string;
  /** `not-permitted`: beyond what the sender may send. */
  readonly reason: RejectionReason | 'not-permitted';
  readonly detail: string;
}

export interface Problem {
  readonly status: number;
  /** What went wrong this time, and what to do about it. */
  readonly detail: string;
  /** Ends the problem's type URI; absent: the status says it all. */
  readonly type?: string;
  readonly title?: string;
  readonly errors?: readonly EventError[];
  readonly retryAfterInSeconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Extension members. */
  readonly more?: Readonly<Record<string, unknown>>;
}

const problemTypes = 'urn:problem:dps-enrollment-pipeline:';

export function json(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): HttpResponse {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify(value),
  };
}

/** RFC 9457. */
export function problem(given: Problem): HttpResponse {
  const { status, detail, type, title, errors, retryAfterInSeconds, headers, more } = given;
  const body = {
    type: type === undefined ? 'about:blank' : `${problemTypes}${type}`,
    title: title ?? STATUS_CODES[status] ?? 'Error',
    status,
    detail,
    ...more,
    ...(errors ? { errors } : {}),
  };
  return {
    status,
    headers: {
      'content-type': 'application/problem+json',
      ...(retryAfterInSeconds === undefined ? {} : { 'retry-after': String(retryAfterInSeconds) }),
      ...headers,
    },
    body: JSON.stringify(body),
  };
}

export function notFound(detail: string): HttpResponse {
  return problem({ status: 404, detail });
}

/** A `?continuation=` that no page was answered with. */
export function badContinuation(): HttpResponse {
  return problem({
    status: 400,
    detail: 'The continuation is not one that a page was answered with. Begin without it.',
  });
}

/** A file that the browser keeps. */
export function csvHeaders(fileName: string): Record<string, string> {
  return {
    'content-type': 'text/csv; charset=utf-8; header=present',
    'content-disposition': `attachment; filename="${fileName}"`,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  };
}
