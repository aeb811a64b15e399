import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  evaluateEnd,
  mergeEvent,
  noRegisters,
  type Registers,
} from '../../src/enrollment/ledger/registers.ts';
import type { ManufacturingEvent } from '../../src/events/manufacturing-event.ts';
import { readEventValue } from '../../src/events/read-event.ts';

const arrivedAt = new Date('2026-11-23T12:00:00Z');

/** Few times, sources and ids, so that ties are frequent. */
const anyEvent = (kinds: readonly string[], subject: string) =>
  fc
    .record({
      type: fc.constantFrom(...kinds),
      minute: fc.integer({ min: 0, max: 4 }),
      fraction: fc.constantFrom('', '.000000001', '.5'),
      source: fc.constantFrom('/a', '/b'),
      id: fc.integer({ min: 0, max: 50 }),
      remanufactured: fc.boolean(),
      keys: fc.boolean(),
      product: fc.constantFrom('thermostat-a', 'thermostat-b'),
    })
    .map(({ type, minute, fraction, source, id, remanufactured, keys, product }) => {
      const key = Buffer.alloc(16, id).toString('base64');
      const attestation = keys ? { type: 'symmetricKey', primaryKey: key, secondaryKey: key } : undefined;
      const text = {
        specversion: '1.0',
        id: `${id}-${type}-${minute}${fraction}-${remanufactured}-${keys}-${product}`,
        source,
        type,
        subject,
        time: `2026-11-23T11:0${minute}:00${fraction}Z`,
        data: /manufactured|changed|started/.test(type)
          ? { product, remanufactured, attestation }
          : undefined,
      };
      const read = readEventValue(text, JSON.stringify(text), arrivedAt);
      if (read.kind !== 'event') {
        throw new Error(JSON.stringify(read));
      }
      return read.event;
    });

const deviceKinds = ['manufactured', 'changed', 'held', 'released', 'returned', 'scrapped'].map(
  (each) => `device.${each}`,
);
const batchKinds = ['started', 'held', 'released', 'recalled', 'retired'].map((each) => `batch.${each}`);

/** What the contract lets depend on nothing but the set of events. */
function merged(events: readonly ManufacturingEvent[]): Registers {
  return events.reduce((registers, each) => mergeEvent(registers, each, arrivedAt), noRegisters);
}

function winners(registers: Registers) {
  const { definitions, ...others } = registers;
  return { definition: definitions[0], ...others };
}

describe.each([
  ['a device', deviceKinds, 'device-1'],
  ['a batch', batchKinds, 'batch-1'],
])('the registers of %s', (_, kinds, subject) => {
  it('end the same in any order, whatever is repeated', () => {
    const shuffled = fc
      .array(anyEvent(kinds, subject), { minLength: 1, maxLength: 8 })
      .chain((events) =>
        fc.tuple(
          fc.constant(events),
          fc.shuffledSubarray([...events, ...events], { minLength: events.length * 2 }),
        ),
      );
    fc.assert(
      fc.property(shuffled, ([events, shuffledTwice]) => {
        expect(winners(merged(shuffledTwice))).toEqual(winners(merged(events)));
      }),
      { numRuns: 10_000 },
    );
  });

  it('let an event succeed in the end exactly if one of its registers is still its own, and some event always does', () => {
    fc.assert(
      fc.property(fc.array(anyEvent(kinds, subject), { minLength: 1, maxLength: 8 }), (events) => {
        const registers = merged(events);
        const verdicts = events.map((each) => evaluateEnd(registers, each));
        const ended = registers.life?.life === 'scrapped' || registers.life?.life === 'retired';
        if (!ended) {
          expect(verdicts).toContain('succeeded');
        }
        if (registers.life?.life !== 'scrapped') {
          expect(verdicts).not.toContain('device-scrapped');
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('what beats what', () => {
  const at = (type: string, time: string, data?: object, id = `${type}-${time}`) => {
    const value = { specversion: '1.0', id, source: '/s', type, subject: 'x-1', time, data };
    const read = readEventValue(value, JSON.stringify(value), arrivedAt);
    if (read.kind !== 'event') {
      throw new Error(JSON.stringify(read));
    }
    return read.event;
  };
  const time = '2026-11-23T11:00:00Z';

  it('at equal times the safer event wins', () => {
    const all = [at('device.released', time), at('device.held', time)];
    expect(merged(all).hold?.held).toBe(true);
    const life = [
      at('device.scrapped', time),
      at('device.manufactured', time, { product: 'p', remanufactured: true }),
    ];
    expect(merged(life).life?.life).toBe('scrapped');
    const definitions = [
      at('device.changed', time, { product: 'changed' }),
      at('device.manufactured', time, { product: 'made' }),
    ];
    expect(merged(definitions).definitions[0]?.definition.product).toBe('changed');
  });

  it('a nanosecond decides', () => {
    const all = [
      at('device.held', '2026-11-23T11:00:00.000000001Z'),
      at('device.released', '2026-11-23T11:00:00.000000002Z'),
    ];
    expect(merged(all).hold?.held).toBe(false);
  });

  it('times are compared as instants, whatever their offset', () => {
    const all = [
      at('device.held', '2026-11-23T13:00:00+02:00'),
      at('device.released', '2026-11-23T11:00:01Z'),
    ];
    expect(merged(all).hold?.held).toBe(false);
  });

  it('a retired batch stays retired, whatever is recalled later', () => {
    const all = [at('batch.retired', time), at('batch.recalled', '2026-11-23T11:30:00Z')];
    expect(merged(all).life?.life).toBe('retired');
    expect(evaluateEnd(merged(all), all[1]!)).toBe('superseded');
  });

  it('a definition without keys leaves the keys of an older one in force', () => {
    const key = Buffer.alloc(16, 1).toString('base64');
    const first = at('device.manufactured', time, {
      product: 'p',
      attestation: { type: 'symmetricKey', primaryKey: key, secondaryKey: key },
    });
    const second = at('device.changed', '2026-11-23T11:30:00Z', { product: 'p' });
    expect(merged([first, second]).keys?.version.key).toBe(first.key);
    expect(JSON.stringify(merged([first, second]))).not.toContain(key);
  });
});
