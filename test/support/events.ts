import { createHash } from 'node:crypto';

export interface TestEvent {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly data?: unknown;
}

let counter = 0;

/** A valid event; `minutesAgo` orders it among others. */
export function event(
  type: string,
  subject: string,
  data?: unknown,
  more: Partial<TestEvent> & { minutesAgo?: number } = {},
): TestEvent {
  const { minutesAgo = 10, ...attributes } = more;
  return {
    specversion: '1.0',
    id: `e-${process.pid}-${++counter}`,
    source: '/factories/test',
    type,
    subject,
    time: new Date(Date.now() - minutesAgo * 60_000).toISOString(),
    ...(data === undefined ? {} : { data }),
    ...attributes,
  };
}

export function manufactured(
  subject: string,
  data: object = {},
  more: Parameters<typeof event>[3] = {},
): TestEvent {
  return event('device.manufactured', subject, { product: 'thermostat-g2', ...data }, more);
}

/** The contract's event key, written down once more on purpose: a test must not ask the code for it. */
export function keyOf({ source, id, subject }: Pick<TestEvent, 'source' | 'id' | 'subject'>): string {
  return createHash('sha256')
    .update(JSON.stringify([source, id, subject.toLowerCase()]))
    .digest('hex')
    .slice(0, 32);
}
