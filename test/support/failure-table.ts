import { unanswered } from '../../src/dps/attempt.ts';
import { meaningOf } from '../../src/dps/error-advice.ts';
import { UnavailableError } from '../../src/dps/errors.ts';
import {
  type FailureHandling,
  failureHandling,
  handlingOf,
  otherFailures,
} from '../../src/enrollment/dps-access/failure-handling.ts';

/** What the network can do to a call, by the code of the error that it makes. */
export const networkFailures = {
  'no connection': ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'],
  'no such host': ['ENOTFOUND', 'EAI_AGAIN'],
  'a certificate that is not trusted': [
    'CERT_HAS_EXPIRED',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'ERR_TLS_CERT_ALTNAME_INVALID',
  ],
  'no TLS': ['EPROTO', 'ERR_SSL_WRONG_VERSION_NUMBER'],
  'a connection that breaks': ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'],
  'no answer in time': ['ETIMEDOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'RESPONSE_TIMEOUT'],
} as const;

/** The rows of the README's table, from what the code does. */
export function failureTable(): string {
  const rows = [...failureHandling, otherFailures].map((each) => [
    whatComes(each),
    { rejected: '`rejected`', 'decided-anew': 'DPS is read, and it is decided anew', retrying: '`retrying`' }[
      each.event
    ],
    triesOf(each),
    circuitOf(each),
  ]);
  const head = ['DPS, or what is between here and DPS', 'the event', 'tries in place', 'circuit breaker'];
  const table = [head, head.map(() => ''), ...rows];
  const widths = head.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  return table
    .map((row, index) => {
      const cells = widths.map((width, column) =>
        index === 1 ? '-'.repeat(width) : (row[column] ?? '').padEnd(width),
      );
      return `| ${cells.join(' | ')} |`;
    })
    .join('\n');
}

function whatComes(handling: FailureHandling): string {
  const statuses = range(300, 599).filter((status) => handlingOfStatus(status) === handling);
  const known = statuses.filter((status) => status >= 400 && status < 500);
  const parts = [
    // Those that nobody sends are many; they are the rest.
    handling === otherFailures ? 'any other 4xx' : known.join(', '),
    ...[300, 500]
      .filter((from) => range(from, from + 99).every((status) => statuses.includes(status)))
      .map((from) => `${from / 100}xx`),
    ...Object.entries(networkFailures)
      .filter(([, codes]) => codes.every((code) => handlingOfCode(code) === handling))
      .map(([what]) => what),
    ...(handling.errorClass === UnavailableError ? ['an answer that is none of DPS’s'] : []),
  ];
  return parts.filter((part) => part !== '').join(', ');
}

export function handlingOfStatus(status: number): FailureHandling {
  const { errorClass } = meaningOf(status);
  return handlingOf(new errorClass('', { operation: '' }));
}

export function handlingOfCode(code: string): FailureHandling {
  const call = { operation: '', method: 'GET', path: '', answers: 'nothing', options: {} } as const;
  return handlingOf(unanswered(call, Object.assign(new Error(), { code })).error);
}

function triesOf({ event, tries }: FailureHandling): string {
  if (event !== 'retrying') {
    return '';
  }
  return Number.isFinite(tries) ? String(tries) : 'until its time is up';
}

function circuitOf({ opensAfter }: FailureHandling): string {
  if (!Number.isFinite(opensAfter)) {
    return 'stays closed';
  }
  return opensAfter === 1 ? 'opens at once' : `opens after ${opensAfter} in a row`;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
