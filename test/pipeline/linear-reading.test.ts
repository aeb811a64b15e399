import { describe, expect, it } from 'vitest';
import { checkCertificate } from '../../src/dps/certificate-checks.ts';
import { redact } from '../../src/dps/redaction.ts';
import { loadProfiles } from '../../src/enrollment/ledger/profiles.ts';
import { allRejections } from '../../src/enrollment/pipeline/event-evaluation.ts';
import { keptBody } from '../../src/enrollment/rejected/kept-body.ts';
import { readEventText } from '../../src/events/read-event.ts';
import { mayHoldSecret } from '../../src/events/secret-texts.ts';
import { isSignedMessage } from '../../src/events/webhook-signature.ts';
import { makeAnyCertificate } from '../support/any-certificate.ts';
import { manufactured } from '../support/events.ts';

/** Texts of a length that made patterns repeat their work: each is a run of one character, then one that does not fit. */
const shapes: [string, (length: number) => string][] = [
  ['spaces', (length) => `${' '.repeat(length)}!`],
  ['digits', (length) => `${'1'.repeat(length)}!`],
  ['letters', (length) => `${'a'.repeat(length)}!`],
  ['padding', (length) => `A${'='.repeat(length)}!`],
  ['line feeds', (length) => '\n'.repeat(length)],
  ['dashes', (length) => '-'.repeat(length)],
  ['beginnings of PEM', (length) => '-----BEGIN CERTIFICATE-----'.repeat(Math.ceil(length / 27))],
  ['hex with colons', (length) => 'a1:'.repeat(Math.ceil(length / 3))],
  ['dots', (length) => 'a.'.repeat(length / 2)],
  ['percent signs', (length) => '%41'.repeat(length / 3)],
  ['semicolons', (length) => '; '.repeat(length / 2)],
];

/** Members that an event's text can stand in, attributes first. */
const places: [string, (text: string) => object][] = [
  ...['id', 'source', 'type', 'subject', 'time', 'datacontenttype', 'data_base64', 'extension'].map(
    (name): [string, (text: string) => object] => [name, (text) => ({ ...manufactured('t'), [name]: text })],
  ),
  ...['product', 'batch', 'deviceId', 'attestation'].map((name): [string, (text: string) => object] => [
    name,
    (text) => manufactured('t', { [name]: text }),
  ]),
  ['tags', (text) => manufactured('t', { tags: { [text]: text } })],
  ['labels', (text) => manufactured('t', { labels: { [text]: text } })],
  [
    'certificate',
    (text) => manufactured('t', { product: 'gateway-1', attestation: { type: 'x509', certificate: text } }),
  ],
  [
    'endorsementKey',
    (text) => manufactured('t', { product: 'meter-1', attestation: { type: 'tpm', endorsementKey: text } }),
  ],
  [
    'primaryKey',
    (text) =>
      manufactured('t', { attestation: { type: 'symmetricKey', primaryKey: text, secondaryKey: text } }),
  ],
];

const profiles = loadProfiles(undefined);

/**
 * Milliseconds of this thread alone, and of the best of three: work, as far as it can be counted from outside, and not what
 * the machine does besides.
 */
function work(run: () => unknown): number {
  const spent = () => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1_000;
  };
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 3; round++) {
    const start = spent();
    run();
    best = Math.min(best, spent() - start);
  }
  return best;
}

/** Processors count in ticks, and others disturb: less tells nothing. What repeats its work takes seconds for these lengths. */
const floorInMs = 60;

/** Four times the length is four times the work, give or take; squared, it would be sixteen times. */
function expectLinear(run: (length: number) => unknown, length: number): void {
  run(1_000);
  const quarter = work(() => run(length / 4));
  const whole = work(() => run(length));
  expect(whole).toBeLessThanOrEqual(Math.max(8 * quarter, floorInMs));
}

describe('The work grows with the length of', () => {
  it.each(places)('the member %s of an event, whatever it holds', (_name, make) => {
    for (const [, shape] of shapes) {
      expectLinear((length) => {
        const text = JSON.stringify(make(shape(length)));
        allRejections(readEventText(text, new Date()), profiles, new Date());
        return keptBody(text);
      }, 92_000);
    }
  });

  it.each(shapes)('a certificate, a text and an error message of %s', (_name, shape) => {
    expectLinear((length) => checkCertificate(shape(length), { now: new Date() }), 120_000);
    const { pem } = makeAnyCertificate();
    expectLinear((length) => checkCertificate(pem + shape(length), { now: new Date() }), 120_000);
    expectLinear((length) => mayHoldSecret(shape(length)), 180_000);
    const sent = `"primaryKey":"${Buffer.alloc(64, 7).toString('base64')}"`;
    expectLinear((length) => redact(shape(length), sent), 120_000);
  });

  it('a webhook’s signatures, of which ten are looked at', () => {
    const message = { id: 'm', timestamp: '1', body: Buffer.from('{}') };
    const of = (count: number) =>
      work(() => isSignedMessage(message, 'a '.repeat(count), [Buffer.alloc(32)], new Date()));
    of(10);
    expect(of(7_000)).toBeLessThan(Math.max(20 * of(10), floorInMs));
  });
});
