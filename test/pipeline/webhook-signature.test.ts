import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readWebhookSecret, WebhookKeys } from '../../src/events/webhook-secrets.ts';
import {
  isSignedMessage,
  type WebhookMessage,
  webhookSignature,
} from '../../src/events/webhook-signature.ts';
import { signedHeaders, testSecret } from '../support/webhooks.ts';

const now = new Date('2026-11-23T06:00:00.000Z');
const timestamp = String(now.getTime() / 1_000);
const key = Buffer.alloc(32, 1);
const message: WebhookMessage = { id: 'msg_1', timestamp, body: Buffer.from('{"specversion":"1.0"}') };
const signature = webhookSignature(message, key);
const accepts = (changed: Partial<WebhookMessage> = {}, given = signature, at = now) =>
  isSignedMessage({ ...message, ...changed }, given, [key], at);

const aKey = fc.uint8Array({ minLength: 24, maxLength: 64 });
const aMessage = fc.record({
  id: fc.string({ minLength: 1 }),
  timestamp: fc.constant(timestamp),
  body: fc.uint8Array({ maxLength: 300 }),
});

describe('A webhook signature', () => {
  it('is that of the specification', () => {
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    const example = {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestamp: '1614265330',
      body: Buffer.from('{"test": 2432232314}'),
    };
    expect(webhookSignature(example, readWebhookSecret(secret)!)).toBe(
      'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    );
    expect(signedHeaders(secret, example.body, example)['webhook-signature']).toBe(
      'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    );
  });

  it('holds for what was signed, whatever it is', () => {
    fc.assert(
      fc.property(aMessage, aKey, (each, its) =>
        isSignedMessage(each, webhookSignature(each, its), [its], now),
      ),
    );
  });

  it('does not hold once any bit of the body, the signature or the id is another', () => {
    const flipped = (bytes: Uint8Array, bit: number) => {
      const changed = Uint8Array.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      return changed;
    };
    const text = (value: string, bit: number) =>
      Buffer.from(flipped(Buffer.from(value, 'latin1'), bit)).toString('latin1');
    expect(accepts()).toBe(true);
    for (let bit = 0; bit < message.body.length * 8; bit++) {
      expect(accepts({ body: flipped(message.body, bit) }), `bit ${bit} of the body`).toBe(false);
    }
    for (let bit = 0; bit < signature.length * 8; bit++) {
      expect(accepts({}, text(signature, bit)), `bit ${bit} of the signature`).toBe(false);
    }
    for (let bit = 0; bit < message.id.length * 8; bit++) {
      expect(accepts({ id: text(message.id, bit) }), `bit ${bit} of the id`).toBe(false);
    }
    for (let bit = 0; bit < timestamp.length * 8; bit++) {
      expect(accepts({ timestamp: text(timestamp, bit) }), `bit ${bit} of the timestamp`).toBe(false);
    }
  });

  it('holds for exactly five minutes, before and after', () => {
    const at = (inMs: number) => accepts({}, signature, new Date(now.getTime() + inMs));
    for (const inMs of [-300_000, -299_000, 0, 299_000, 300_000]) {
      expect(at(inMs), String(inMs)).toBe(true);
    }
    for (const inMs of [-301_000, -300_001, 300_001, 301_000]) {
      expect(at(inMs), String(inMs)).toBe(false);
    }
  });

  it('is one of several, anywhere among whatever else', () => {
    const noise = (maxLength: number) =>
      fc.array(
        fc.string().map((each) => each.replaceAll(' ', '')),
        { maxLength },
      );
    fc.assert(
      fc.property(noise(9), noise(20), (before, after) =>
        accepts({}, [...before, signature, ...after].join(' ')),
      ),
    );
    expect(accepts({}, [...Array(10).fill('v1,none'), signature].join(' ')), 'the eleventh').toBe(false);
  });

  it('is never made up', () => {
    fc.assert(fc.property(fc.string(), (given) => !accepts({}, given)));
    const parts = fc.constantFrom(
      'v1,',
      'v1',
      'v1a,',
      ',',
      ' ',
      '=',
      signature.slice(3, -1),
      signature.slice(0, 20),
    );
    fc.assert(
      fc.property(fc.array(parts), (some) => {
        const given = some.join('');
        fc.pre(!given.split(' ').includes(signature));
        return !accepts({}, given);
      }),
    );
  });

  it.each([
    ['an id', { id: '' }],
    ['a timestamp', { timestamp: '' }],
    ['a timestamp in digits', { timestamp: '1e9' }],
    ['a timestamp that is one number', { timestamp: `${timestamp}.0` }],
    ['a timestamp without sign', { timestamp: `+${timestamp}` }],
    ['a timestamp of this age', { timestamp: '9'.repeat(400) }],
  ])('wants %s, even if what is there was signed', (_, changed) => {
    expect(accepts(changed, webhookSignature({ ...message, ...changed }, key))).toBe(false);
  });
});

describe('A webhook secret', () => {
  it('is whsec_ and base64 of 24 to 64 bytes, and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const read = readWebhookSecret(`whsec_${Buffer.from(bytes).toString('base64')}`);
        if (bytes.length < 24 || bytes.length > 64) {
          return read === undefined;
        }
        return read !== undefined && Buffer.from(bytes).equals(read);
      }),
    );
    fc.assert(fc.property(fc.string(), (text) => readWebhookSecret(text) === undefined));
    const lengthsTaken = [23, 24, 64, 65].filter((length) => readWebhookSecret(testSecret(1, length)));
    expect(lengthsTaken).toEqual([24, 64]);
    expect(readWebhookSecret(testSecret(1).replace('whsec_', 'whsek_'))).toBeUndefined();
  });
});

describe('Webhook keys', () => {
  it('are as many for a sender that nobody knows as for the one that has most', () => {
    const one = readWebhookSecret(testSecret(1))!;
    const two = readWebhookSecret(testSecret(2))!;
    const keys = new WebhookKeys(
      new Map([
        ['WEBHOOK_SECRETS_A_1_B', [one, two]],
        ['WEBHOOK_SECRETS_B', [one]],
      ]),
    );
    for (const sender of ['a-1-b', 'b', 'nobody', '', '__proto__']) {
      expect(keys.of(sender)).toHaveLength(2);
    }
    expect(keys.of('a-1-b')).toEqual([one, two]);
    expect(keys.of('b')[0]).toEqual(one);
    expect(keys.of('nobody')).not.toContainEqual(one);
    expect(new WebhookKeys(new Map()).of('a')).toHaveLength(1);
  });
});
