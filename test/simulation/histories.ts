import type { EventRecord, SubjectState } from '../../src/enrollment/ledger/subject-state.ts';
import { endorsementKeyOf } from '../support/endorsement-key.ts';
import { keyOf, type TestEvent } from '../support/events.ts';
import { expectedDevice, expectedGroup, isHeld, isScrapped } from '../support/oracle.ts';
import type { Random } from '../support/random.ts';
import { Violation } from './scheduler.ts';
import { simulatedHub } from './simulated-hub.ts';
import { textOf, World, type WorldOptions } from './world.ts';

const key = (byte: number) => Buffer.alloc(32, byte).toString('base64');

export interface History {
  readonly events: readonly TestEvent[];
  /** Names of messages, one or several an event. */
  readonly messages: readonly { readonly name: string; readonly event: TestEvent }[];
}

/** A random life of one device or batch, each event in one to three messages. */
export function randomHistory(random: Random): History {
  const kind = random.pick(['thermostat', 'thermostat', 'meter', 'beacon', 'batch'] as const);
  const count = 1 + random.below(5);
  const events = Array.from({ length: count }, (_, index) => randomEvent(random, kind, index));
  const messages = events.flatMap((event, index) =>
    Array.from({ length: random.chance(0.3) ? 2 : 1 }, (_, copy) => ({ name: `m${index}.${copy}`, event })),
  );
  return { events, messages: random.shuffled(messages) };
}

function randomEvent(random: Random, kind: string, index: number): TestEvent {
  const subject = `${kind}-1`;
  const isBatch = kind === 'batch';
  const types = isBatch
    ? ['batch.started', 'batch.started', 'batch.held', 'batch.released', 'batch.recalled', 'batch.retired']
    : [
        'device.manufactured',
        'device.manufactured',
        'device.changed',
        'device.held',
        'device.released',
        'device.scrapped',
        'device.returned',
      ];
  const type = random.pick(types);
  const isDefinition = /manufactured|changed|started/.test(type);
  return {
    specversion: '1.0',
    id: `e${index}`,
    source: '/s',
    type,
    subject,
    time: `2026-11-20T10:0${random.below(10)}:00Z`,
    ...(isDefinition ? { data: dataOf(random, kind, type) } : {}),
  };
}

function dataOf(random: Random, kind: string, type: string): Record<string, unknown> {
  const tags = { order: random.below(3), ...(random.chance(0.1) ? { bad: true } : {}) };
  const again = type === 'device.manufactured' && random.chance(0.2) ? { remanufactured: true } : {};
  switch (kind) {
    case 'meter':
      return {
        product: 'meter-e1',
        tags,
        ...again,
        attestation: { type: 'tpm', endorsementKey: endorsementKeyOf(1) },
      };
    case 'beacon':
      return { product: 'beacon-b2', batch: 'b1', ...again };
    case 'batch':
      return { product: 'beacon-b2', tags };
    default: {
      const byte = 1 + random.below(100);
      const keys = {
        attestation: { type: 'symmetricKey', primaryKey: key(byte), secondaryKey: key(byte + 1) },
      };
      return { product: 'thermostat-g2', tags, ...again, ...(random.chance(0.3) ? keys : {}) };
    }
  }
}

/** One run, to its end, with all that must then be true. @returns its steps. */
export async function runHistory(options: WorldOptions): Promise<number> {
  const world = new World(options);
  try {
    const { events, messages } = randomHistory(world.scheduler.random);
    prepare(world, events);
    for (const { name, event } of messages) {
      world.send(event, name);
    }
    const [one] = events;
    world.retriesLeft = world.scheduler.random.chance(0.2) ? 1 : 0;
    // A retired group waits by the clock until nobody can be registering, which this one does not tell.
    if (options.closesHubs && !events.some(({ type }) => type === 'batch.retired')) {
      world.hub.registrationsLeft = 3;
    }
    await world.run();
    // Where messages are dead, the audit sends for what they left, day after day.
    for (let day = 0, dead = 0; one && day < 10 && world.deadLetters.length > dead; day++) {
      dead = world.deadLetters.length;
      world.wait();
      world.recover(one.type.startsWith('batch') ? 'batch' : 'device', one.subject);
      await world.run();
    }
    checkEnd(world, events);
    return world.scheduler.steps;
  } catch (error) {
    const trace = world.scheduler.trace.slice(-80).join('\n  ');
    const told = `seed ${options.seed}: ${(error as Error).message}\n${world.describe()}\n  ${trace}`;
    throw new Violation(told, { cause: error });
  }
}

/** What may be in DPS before: an enrollment that was made by hand, a device's record, a batch's records. */
function prepare(world: World, events: readonly TestEvent[]): void {
  const { random } = world.scheduler;
  const [first] = events;
  if (!first) {
    return;
  }
  const { subject } = first;
  if (events.some(({ type }) => type.endsWith('.scrapped'))) {
    world.dps.mayGetNewKeys.add(subject);
  }
  if (subject.startsWith('batch') && random.chance(0.5)) {
    for (let index = 0; index < 250; index += 1 + random.below(30)) {
      hasRegistered(world, `${subject}-${index}`);
    }
  }
  if (world.closesHubs && !subject.startsWith('batch') && random.chance(0.5)) {
    hasRegistered(world, subject);
  }
}

export function hasRegistered(world: World, registrationId: string): void {
  world.dps.registrations.set(registrationId, {
    registrationId,
    status: 'assigned',
    ...{ assignedHub: simulatedHub, deviceId: registrationId },
    etag: 'r-before',
    lastUpdatedDateTimeUtc: '2026-11-20T00:00:00Z',
  });
  world.hub.put(registrationId, { status: 'enabled', statusReason: undefined });
}

export function checkEnd(world: World, events: readonly TestEvent[]): void {
  const isBatch = events[0]?.type.startsWith('batch') === true;
  const rows = isBatch ? world.batches : world.devices;
  const records = new Map<string, EventRecord>();
  for (const event of events) {
    const row = rows.get(event.subject, `event!${keyOf(event)}`);
    if (row) {
      records.set(keyOf(event), JSON.parse(textOf(row.values, 'event')));
    }
  }
  const lost = new Set(world.deadLetters.map(({ event }) => event?.body));
  const isLost = (event: TestEvent) => lost.has(JSON.stringify(event));
  const waitsForLostKeys = events.some(
    (event) => isLost(event) && JSON.stringify(event).includes('primaryKey'),
  );
  if (waitsForLostKeys) {
    return;
  }
  for (const event of events) {
    checkEvent(world, event, records.get(keyOf(event)), isLost(event));
  }
  const state = world.state(isBatch ? 'batch' : 'device', events[0]?.subject ?? '');
  const left = [
    ...(state?.pending ?? []),
    ...(state?.outcomesDue ?? []),
    ...(state?.look ? [state.look] : []),
  ];
  if (left.length > 0) {
    throw new Violation(`quiet, and left: ${JSON.stringify(left)}`);
  }
  const counted = events.filter((event) => counts(event, records.get(keyOf(event)), state));
  checkDps(world, counted);
  if (world.closesHubs && world.deadLetters.length === 0) {
    checkHub(world, counted);
  }
}

/** An event that never came has no effect; one that DPS rejected has none either. */
function counts(event: TestEvent, record: EventRecord | undefined, state: SubjectState | undefined): boolean {
  if (!record || record.status === 'accepted') {
    return false;
  }
  // It ended before the device was remanufactured; what it says is remembered, and forgotten once DPS has rejected it.
  const isRemembered = state?.registers.definitions.some(({ version }) => version.key === record.key);
  const isForgotten = record.reason === 'device-scrapped' && isBad(event) && !isRemembered;
  return record.reason !== 'dps-rejected' && !isForgotten;
}

function isBad({ data }: TestEvent): boolean {
  return JSON.stringify(data ?? null).includes('"bad":true');
}

function checkEvent(world: World, event: TestEvent, record: EventRecord | undefined, isLost: boolean): void {
  if (!record) {
    if (isLost) {
      return;
    }
    throw new Violation(`${event.id} has no row`);
  }
  if (!['succeeded', 'superseded', 'rejected'].includes(record.status)) {
    throw new Violation(`${event.id} never ended: ${record.status}`);
  }
  const told = [...(world.outcomes.get(keyOf(event)) ?? [])];
  if (told.some((status) => status !== record.status) || (told.length === 0 && !isLost)) {
    throw new Violation(`${event.id} ended ${record.status}, told ${told.join(' and ') || 'nothing'}`);
  }
  // Of one that brings keys no more than length and hash are kept.
  const noted = world.noted.get(keyOf(event));
  const isOnRecord = JSON.stringify(event).includes('primaryKey')
    ? noted !== undefined
    : noted?.includes(event.id);
  if (record.status === 'rejected' && !isOnRecord && !isLost) {
    throw new Violation(`${event.id} was rejected, and its body is not on record`);
  }
}

function checkDps(world: World, events: readonly TestEvent[]): void {
  const subject = events[0]?.subject;
  if (subject === undefined) {
    return;
  }
  const actual = world.dps.enrollments.get(subject);
  const seen = actual ? (actual.provisioningStatus ?? 'enabled') : 'absent';
  if (subject.startsWith('batch')) {
    checkBatch(world, events, seen);
    return;
  }
  const { enrollment, primaryKey } = expectedDevice(events);
  const wanted = enrollment === 'absent' ? 'absent' : enrollment.provisioningStatus;
  if (seen !== wanted) {
    throw new Violation(`DPS has ${subject} ${seen}, should be ${wanted}`);
  }
  const tags = (actual as { initialTwin?: { tags?: { order?: number } } } | undefined)?.initialTwin?.tags;
  const wantedTags =
    enrollment === 'absent' ? undefined : (enrollment.tags as { order?: number } | undefined);
  if (wantedTags && tags?.order !== wantedTags.order) {
    throw new Violation(`DPS has order ${tags?.order}, should be ${wantedTags.order}`);
  }
  const stored = actual?.attestation.type === 'symmetricKey' ? actual.attestation.symmetricKey : undefined;
  if (primaryKey !== undefined && stored?.primaryKey !== primaryKey) {
    throw new Violation(`DPS has key ${stored?.primaryKey}, should be ${primaryKey}`);
  }
}

/** Once all is quiet, the hub lets in whom DPS lets in, and nobody else. */
function checkHub(world: World, events: readonly TestEvent[]): void {
  const [first] = events;
  if (!first) {
    return;
  }
  const { subject } = first;
  const isBatch = subject.startsWith('batch');
  // Of a group that DPS never had, nothing is retired.
  if (
    isBatch &&
    isDefinedAndRetired(events) &&
    !world.scheduler.trace.some((name) => name.includes('deletes a registration'))
  ) {
    return;
  }
  const isKeptOut = isBatch ? isBatchClosed(events) : isDeviceKeptOut(events);
  for (const [id, { status }] of world.hub.identities) {
    const isOpen = status === 'enabled';
    if (id.startsWith(subject) && isOpen === isKeptOut) {
      throw new Violation(`the hub has ${id} ${status}, and it is ${isKeptOut ? 'kept out' : 'let in'}`);
    }
  }
}

function isDeviceKeptOut(events: readonly TestEvent[]): boolean {
  const { enrollment } = expectedDevice(events);
  return isScrapped(events) || (enrollment !== 'absent' && enrollment.provisioningStatus === 'disabled');
}

function isBatchClosed(events: readonly TestEvent[]): boolean {
  const kinds = events.map(({ type }) => type);
  return isHeld(events) || kinds.includes('batch.recalled') || kinds.includes('batch.retired');
}

function isDefinedAndRetired(events: readonly TestEvent[]): boolean {
  const kinds = events.map(({ type }) => type);
  return kinds.includes('batch.started') && kinds.includes('batch.retired');
}

function checkBatch(world: World, events: readonly TestEvent[], seen: string): void {
  const wanted = expectedGroup(events);
  if (seen !== wanted) {
    throw new Violation(`DPS has the group ${seen}, should be ${wanted}`);
  }
  if (isDefinedAndRetired(events) && world.dps.registrations.size > 0 && world.dps.operations > 0) {
    const wasThere = world.scheduler.trace.some((name) => name.includes('deletes a registration'));
    if (wasThere) {
      throw new Violation(`${world.dps.registrations.size} registrations are left`);
    }
  }
}
