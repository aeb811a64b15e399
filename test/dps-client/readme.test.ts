import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { meaningOf } from '../../src/dps/error-advice.ts';
import { networkFailureOf } from '../../src/dps/network-failure.ts';
import { isRetriedStatus, mayHaveBeenCarriedOut } from '../../src/dps/retry-policy.ts';

const readmeText = join(import.meta.dirname, '../../src/dps/README.md');
const tablePattern =
  /(?<=<!-- retry table: checked by a test -->\n)[\s\S]*(?=<!-- end of the retry table -->)/;

const statusCodes = [400, 401, 403, 404, 405, 408, 409, 412, 415, 429, 500, 501, 502, 503, 504];
const failureCodes: [string, string[]][] = [
  ['no connection', ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT']],
  ['no such host', ['ENOTFOUND', 'EAI_AGAIN']],
  [
    'a certificate that is not trusted',
    [
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'CERT_HAS_EXPIRED',
      'ERR_TLS_CERT_ALTNAME_INVALID',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    ],
  ],
  [
    'TLS cannot be spoken',
    ['EPROTO', 'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'],
  ],
  ['the connection broke off', ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'HPE_INVALID_CONSTANT']],
  ['no answer in time', ['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT', 'RESPONSE_TIMEOUT']],
];

function retryTable(): string {
  const yes = (value: boolean) => (value ? 'yes' : 'no');
  const statuses = statusCodes.map((status) => {
    const retried = status === 401 ? 'once, with a new token' : yes(isRetriedStatus(status));
    return `| ${status} | ${retried} | ${yes(mayHaveBeenCarriedOut(status))} | \`${meaningOf(status).errorClass.name}\` |`;
  });
  const failures = failureCodes.map(([what, codes]) => {
    const [failure] = codes.map((code) => networkFailureOf({ code }));
    return `| ${what} (${codes.map((code) => `\`${code}\``).join(', ')}) | ${yes(failure!.retried)} | ${yes(failure!.mayHaveBeenCarriedOut)} | \`UnavailableError\` |`;
  });
  const garbage = '| a success that cannot be read | yes | yes | `UnavailableError` |';
  const head = '| what happened | repeated | may have been carried out | error |\n|---|---|---|---|';
  return `${[head, ...statuses, ...failures, garbage].join('\n')}\n`;
}

/** The formatter aligns tables. */
function unpadded(table = ''): string {
  return table
    .replaceAll(/ *\| */g, '|')
    .replaceAll(/-{3,}/g, '---')
    .trim();
}

describe('The README', () => {
  it('has the retry table that the code has (UPDATE_README=1 writes it)', () => {
    const readme = readFileSync(readmeText, 'utf8');
    if (process.env.UPDATE_README) {
      writeFileSync(readmeText, readme.replace(tablePattern, retryTable()));
    }
    expect(unpadded(tablePattern.exec(readFileSync(readmeText, 'utf8'))?.[0])).toBe(unpadded(retryTable()));
  });

  it.each(failureCodes)('sorts all codes of a row alike: %s', (_what, codes) => {
    const kinds = codes.map((code) => ({ ...networkFailureOf({ code }), code: '' }));
    expect(new Set(kinds.map((kind) => JSON.stringify(kind))).size).toBe(1);
  });

  it('names only files that are there', () => {
    const links = readFileSync(readmeText, 'utf8').matchAll(/\]\((samples\/[^)]+)\)/g);
    for (const [, path] of links) {
      expect(() => readFileSync(join(readmeText, '..', path!))).not.toThrow();
    }
  });
});
