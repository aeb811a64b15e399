import { compareText } from '../events/compare-text.ts';
import type { EventKey } from '../events/event-identity.ts';
import { type Instant, instantOf } from '../events/instant.ts';
import { bringsKeys, isDefinitionKind, type ManufacturingEvent } from '../events/manufacturing-event.ts';
import {
  newestAccepted,
  type StampedDefinition,
  withDefinition,
  withoutDefinition,
} from './definitions-register.ts';
import { forgetKeys, type KeysRegister, mergeKeys } from './keys-register.ts';
import { compareStamps, type Stamp } from './stamp.ts';

export type Life = 'scrapped' | 'remanufactured' | 'recalled' | 'retired';

interface StampedLife {
  readonly stamp: Stamp;
  readonly life: Life;
}

/**
 * Last-writer-wins registers of a device or a batch. Their merge is commutative, associative and idempotent, so
 * order, delay and repetition of events cannot matter.
 */
export interface Registers extends KeysRegister {
  /** The newest definition, then older ones to fall back on if DPS refuses it, down to the last that DPS accepted. */
  readonly definitions: readonly StampedDefinition[];
  readonly hold?: { readonly stamp: Stamp; readonly held: boolean; readonly reason?: string };
  readonly life?: StampedLife;
  /** What a device's life falls back on if DPS rejects the definition that remanufactured it, down to its scrapping. */
  readonly olderLives?: readonly StampedLife[];
  /** The registration record goes if it was not updated after this instant, once. */
  readonly return?: { readonly stamp: Stamp; readonly notAfter: Instant; readonly done: boolean };
  /** How the oldest definition wrote the subject: the device id, where no definition names one. */
  readonly spelling?: { readonly stamp: Stamp; readonly subject: string };
  /** The certificate to keep the device out with. */
  readonly leaf?: { readonly stamp: Stamp; readonly certificate: string };
}

export const noRegisters: Registers = { definitions: [] };

/** Merges one valid event, which arrived first at `arrivedAt`. */
export function mergeEvent(registers: Registers, event: ManufacturingEvent, arrivedAt: Date): Registers {
  let merged = mergeLeaf(registers, event);
  if (isDefinitionKind(event.kind)) merged = mergeDefinition(merged, event);
  switch (event.kind) {
    case 'device.held':
    case 'device.released':
    case 'batch.held':
    case 'batch.released': {
      const held = event.kind.endsWith('.held');
      const reason = event.reason === undefined ? {} : { reason: event.reason };
      return {
        ...merged,
        hold: newer(merged.hold, { stamp: stampOf(event, held ? 1 : 0), held, ...reason }),
      };
    }
    case 'device.returned':
      return mergeReturn(merged, stampOf(event, 0), arrivedAt);
    case 'device.scrapped':
      return mergeReturn(mergeLife(merged, stampOf(event, 2), 'scrapped'), stampOf(event, 2), arrivedAt);
    case 'device.manufactured':
      if (event.definition?.remanufactured !== true) return merged;
      return mergeReturn(
        mergeLife(merged, stampOf(event, 1), 'remanufactured'),
        stampOf(event, 1),
        arrivedAt,
      );
    case 'batch.recalled':
      return mergeLife(merged, stampOf(event, 0), 'recalled');
    case 'batch.retired':
      return mergeLife(merged, stampOf(event, 1), 'retired');
    default:
      return merged;
  }
}

/** Of an event that is rejected, only the leaf certificate counts: whatever became of the event. */
export function mergeLeaf(registers: Registers, event: ManufacturingEvent): Registers {
  if (event.leafCertificate === undefined) return registers;
  const leaf = { stamp: stampOf(event, 0), certificate: event.leafCertificate };
  return { ...registers, leaf: newer(registers.leaf, leaf) };
}

function mergeDefinition(registers: Registers, event: ManufacturingEvent): Registers {
  if (!event.definition) return registers;
  const stamp = definitionStamp(event);
  const definitions = withDefinition(registers.definitions, stamp, event.definition);
  const spelling = older(registers.spelling, { stamp, subject: event.subject });
  const merged = { ...registers, definitions, spelling };
  const { attestation } = event.definition;
  return bringsKeys(attestation) ? mergeKeys(merged, stamp, attestation) : merged;
}

function mergeLife(registers: Registers, stamp: Stamp, life: Life): Registers {
  const old = registers.life;
  // Of a batch's ends the graver stays, whatever the times.
  if (old && (life === 'recalled' || life === 'retired') && old.life !== life)
    return old.life === 'retired' ? registers : { ...registers, life: { stamp, life } };
  const known = [...(old ? [old] : []), ...(registers.olderLives ?? [])];
  if (known.some((each) => each.stamp.key === stamp.key)) return registers;
  return withLives(
    registers,
    [...known, { stamp, life }].sort((left, right) => compareStamps(right.stamp, left.stamp)),
  );
}

function withLives(registers: Registers, sorted: readonly StampedLife[]): Registers {
  const { life: _, olderLives: __, ...rest } = registers;
  const last = sorted.findIndex(({ life }) => life !== 'remanufactured');
  const [life, ...olderLives] = last < 0 ? sorted : sorted.slice(0, last + 1);
  return { ...rest, ...(life ? { life } : {}), ...(olderLives.length > 0 ? { olderLives } : {}) };
}

function mergeReturn(registers: Registers, stamp: Stamp, arrivedAt: Date): Registers {
  const arrival = instantOf(arrivedAt);
  const notAfter = compareText(stamp.at, arrival) < 0 ? stamp.at : arrival;
  return { ...registers, return: newer(registers.return, { stamp, notAfter, done: false }) };
}

export function definitionAccepted({ olderLives: _, ...registers }: Registers): Registers {
  return { ...registers, definitions: newestAccepted(registers.definitions) };
}

/** Once no event is pending: of what DPS was not asked to take, the newest is remembered, and what it took before. */
export function withoutOlderDefinitions(registers: Registers): Registers {
  const definitions = registers.definitions.filter((each, index) => index === 0 || each.accepted);
  return { ...registers, definitions };
}

/** DPS rejected what this event says: it is as if the event had never come. */
export function rollBackDefinition(registers: Registers, key: EventKey): Registers {
  const { life, olderLives = [] } = registers;
  const lives = [...(life ? [life] : []), ...olderLives].filter(({ stamp }) => stamp.key !== key);
  const definitions = withoutDefinition(registers.definitions, key);
  return forgetKeys(withLives({ ...registers, definitions }, lives), [key]);
}

export function returnDone(registers: Registers): Registers {
  if (!registers.return || registers.return.done) return registers;
  return { ...registers, return: { ...registers.return, done: true } };
}

export type End = 'succeeded' | 'superseded' | 'device-scrapped';

/** What of an event decides how it ends: so much is kept of it after its message is gone. */
export type MergedEvent = Pick<ManufacturingEvent, 'key' | 'kind' | 'instant' | 'source' | 'id'>;

/** How an event ends that was merged into these registers. */
export function evaluateEnd(registers: Registers, event: MergedEvent): End {
  const holds = (register: { readonly stamp: Stamp } | undefined) => register?.stamp.key === event.key;
  const others = [registers.hold, registers.life, registers.return].some(holds);
  if (!isDefinitionKind(event.kind)) return others ? 'succeeded' : 'superseded';
  if (registers.life?.life === 'retired') return 'superseded';
  if (registers.life?.life === 'scrapped')
    return event.instant > registers.life.stamp.at ? 'device-scrapped' : 'superseded';
  return others || holds(registers.definitions[0]) || holds(registers.keys) ? 'succeeded' : 'superseded';
}

function definitionStamp(event: MergedEvent): Stamp {
  return stampOf(event, event.kind === 'device.changed' ? 1 : 0);
}

function stampOf(event: MergedEvent, rank: number): Stamp {
  return { at: event.instant, rank, source: event.source, id: event.id, key: event.key };
}

function older<T extends { readonly stamp: Stamp }>(old: T | undefined, candidate: T): T {
  return old === undefined || compareStamps(candidate.stamp, old.stamp) < 0 ? candidate : old;
}

function newer<T extends { readonly stamp: Stamp }>(old: T | undefined, candidate: T): T {
  if (old === undefined) return candidate;
  if (old.stamp.key === candidate.stamp.key) return old;
  return compareStamps(candidate.stamp, old.stamp) > 0 ? candidate : old;
}
