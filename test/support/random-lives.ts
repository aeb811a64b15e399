import type { TestEvent } from './events.ts';
import type { Random } from './random.ts';

export interface LifeOptions {
  readonly eventsAtMost: number;
  /** Of the devices that belong to one; it is to be started. */
  readonly batch: string;
}

const deviceKinds = [
  ...['manufactured', 'manufactured', 'changed', 'changed'],
  ...['held', 'released', 'scrapped', 'returned'],
];
const batchKinds = ['started', 'started', 'started', 'held', 'held', 'released', 'recalled', 'retired'];

/** A life as no device has one: any events at any of six minutes, by two sources, some in another spelling of the id. */
export function randomLife(random: Random, name: string, { eventsAtMost, batch }: LifeOptions): TestEvent[] {
  const isMember = random.chance(0.3);
  const subject = isMember ? `beacon-${name}` : `thermostat-${name}`;
  return Array.from({ length: 1 + random.below(eventsAtMost) }, (_, index) => {
    const kind = random.pick(deviceKinds);
    const isDefinition = kind === 'manufactured' || kind === 'changed';
    return {
      ...randomEvent(random, `device.${kind}`, random.chance(0.1) ? subject.toUpperCase() : subject, index),
      ...(isDefinition ? { data: definition(random, isMember ? batch : undefined, kind) } : {}),
    };
  });
}

export function randomBatchLife(
  random: Random,
  name: string,
  { eventsAtMost }: Pick<LifeOptions, 'eventsAtMost'>,
): TestEvent[] {
  return Array.from({ length: 1 + random.below(eventsAtMost) }, (_, index) => {
    const kind = random.pick(batchKinds);
    return {
      ...randomEvent(random, `batch.${kind}`, `batch-${name}`, index),
      ...(kind === 'started' ? { data: { product: 'beacon-b2', tags: { order: random.below(1_000) } } } : {}),
    };
  });
}

/** The batch that devices with random lives belong to. */
export function startedBatch(batch: string): TestEvent {
  return {
    specversion: '1.0',
    id: 'batch',
    source: '/factories/a',
    type: 'batch.started',
    subject: batch,
    time: '2026-11-20T10:00:00Z',
    data: { product: 'beacon-b2' },
  };
}

function randomEvent(random: Random, type: string, subject: string, index: number): TestEvent {
  return {
    specversion: '1.0',
    id: `${subject.toLowerCase()}-${index}`,
    source: random.pick(['/factories/a', '/factories/b']),
    type,
    subject,
    time: `2026-11-20T10:0${random.below(6)}:00Z`,
  };
}

function definition(random: Random, batch: string | undefined, kind: string): object {
  const remanufactured = kind === 'manufactured' && random.chance(0.3) ? { remanufactured: true } : {};
  if (batch !== undefined) {
    return { product: 'beacon-b2', batch, ...remanufactured };
  }
  const key = () => Buffer.from(Array.from({ length: 32 }, () => random.below(256))).toString('base64');
  const keys = random.chance(0.3)
    ? { attestation: { type: 'symmetricKey', primaryKey: key(), secondaryKey: key() } }
    : {};
  return { product: 'thermostat-g2', tags: { order: random.below(1_000) }, ...keys, ...remanufactured };
}
