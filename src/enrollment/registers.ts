import { createHash } from 'node:crypto';
import { compareText } from '../events/compare-text.ts';

import type { EventKey } from '../events/event-identity.ts';
import { type Instant, instantOf } from '../events/instant.ts';
import {
  type AttestationData,
  bringsKeys,
  type DefinitionData,
  isDefinitionKind,
  type ManufacturingEvent,
} from '../events/manufacturing-event.ts';

/** Who wrote a register, in the order in which writers beat each other. */
export interface Stamp {
  readonly at: Instant;
  /** At equal times the safer event wins: the greater rank. */
  readonly rank: number;
  readonly source: string;
  readonly id: string;
  readonly key: EventKey;
}

/** What a definition says, without symmetric keys: those exist in the event's message and in DPS alone. */
export type Definition = Omit<DefinitionData, 'remanufactured'>;

export type Life = 'scrapped' | 'remanufactured' | 'recalled' | 'retired';

/**
 * Last-writer-wins registers of a device or a batch. Their merge is commutative, associative and idempotent, so
 * order, delay and repetition of events cannot matter.
 */
export interface Registers {
  /**
   * The newest definition, then older ones that DPS may have to fall back on if it refuses the newest; empty
   * behind one that DPS has accepted.
   */
  readonly definitions: readonly { readonly stamp: Stamp; readonly definition: Definition }[];
  readonly keys?: { readonly stamp: Stamp; readonly fingerprint: string; readonly applied: boolean };
  readonly hold?: { readonly stamp: Stamp; readonly held: boolean };
  readonly life?: { readonly stamp: Stamp; readonly life: Life };
  /** The registration record goes if it was not updated after this instant, once. */
  readonly return?: { readonly stamp: Stamp; readonly notAfter: Instant; readonly done: boolean };
  /** The certificate to keep the device out with. */
  readonly leaf?: { readonly stamp: Stamp; readonly certificate: string };
}

export const noRegisters: Registers = { definitions: [] };

/** Older definitions that are kept, and the room they may take in the state's entity. */
const maxDefinitions = 4;
const maxDefinitionCharacters = 300_000;

export function compareStamps(left: Stamp, right: Stamp): number {
  return (
    compareText(left.at, right.at) ||
    left.rank - right.rank ||
    compareText(left.source, right.source) ||
    compareText(left.id, right.id)
  );
}

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
      return { ...merged, hold: newer(merged.hold, { stamp: stampOf(event, held ? 1 : 0), held }) };
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
  const stamp = stampOf(event, event.kind === 'device.changed' ? 1 : 0);
  const { remanufactured: _, ...said } = event.definition;
  // The default of the device id is the subject as this definition wrote it.
  const deviceId = said.deviceId ?? event.subject;
  const definition = event.subjectKind === 'device' ? { ...said, deviceId } : said;
  const definitions = [
    ...registers.definitions.filter((each) => each.stamp.key !== stamp.key),
    { stamp, definition: withoutSymmetricKeys(definition) },
  ].sort((left, right) => compareStamps(right.stamp, left.stamp));
  const merged = { ...registers, definitions: definitions.slice(0, maxDefinitions) };
  const attestation = event.definition.attestation;
  if (!bringsKeys(attestation)) return bounded(merged);
  const keys = { stamp, fingerprint: keysFingerprint(attestation), applied: false };
  return bounded({ ...merged, keys: newer(registers.keys, keys) });
}

function mergeLife(registers: Registers, stamp: Stamp, life: Life): Registers {
  const old = registers.life;
  // Of a batch's ends the graver stays, whatever the times.
  if (old && (life === 'recalled' || life === 'retired') && old.life !== life)
    return old.life === 'retired' ? registers : { ...registers, life: { stamp, life } };
  return { ...registers, life: newer(old, { stamp, life }) };
}

function mergeReturn(registers: Registers, stamp: Stamp, arrivedAt: Date): Registers {
  const arrival = instantOf(arrivedAt);
  const notAfter = compareText(stamp.at, arrival) < 0 ? stamp.at : arrival;
  return { ...registers, return: newer(registers.return, { stamp, notAfter, done: false }) };
}

/** DPS has accepted the newest definition: there is nothing to fall back on any more. */
export function definitionAccepted(registers: Registers): Registers {
  return registers.definitions.length > 1
    ? { ...registers, definitions: registers.definitions.slice(0, 1) }
    : registers;
}

/** DPS refused what this event says: it is as if the event had never come. */
export function withdrawDefinition(registers: Registers, key: EventKey): Registers {
  return forgetKeys(
    { ...registers, definitions: registers.definitions.filter((each) => each.stamp.key !== key) },
    key,
  );
}

/** Symmetric keys whose message ends without applying them are forgotten. */
export function forgetKeys(registers: Registers, key: EventKey): Registers {
  if (registers.keys?.stamp.key !== key || registers.keys.applied) return registers;
  const { keys: _, ...rest } = registers;
  return rest;
}

export function keysApplied(registers: Registers): Registers {
  if (!registers.keys || registers.keys.applied) return registers;
  return { ...registers, keys: { ...registers.keys, applied: true } };
}

export function returnDone(registers: Registers): Registers {
  if (!registers.return || registers.return.done) return registers;
  return { ...registers, return: { ...registers.return, done: true } };
}

export type Verdict = 'succeeded' | 'superseded' | 'device-scrapped';

/** What of an event decides how it ends: so much is kept of it after its message is gone. */
export type Judged = Pick<ManufacturingEvent, 'key' | 'kind' | 'instant'>;

/** How an event ends that was merged into these registers. */
export function verdictOf(registers: Registers, event: Judged): Verdict {
  const holds = (register: { readonly stamp: Stamp } | undefined) => register?.stamp.key === event.key;
  const others = [registers.hold, registers.life, registers.return].some(holds);
  if (!isDefinitionKind(event.kind)) return others ? 'succeeded' : 'superseded';
  if (registers.life?.life === 'retired') return 'superseded';
  if (registers.life?.life === 'scrapped')
    return event.instant > registers.life.stamp.at ? 'device-scrapped' : 'superseded';
  return others || holds(registers.definitions[0]) || holds(registers.keys) ? 'succeeded' : 'superseded';
}

function withoutSymmetricKeys(definition: Definition): Definition {
  if (definition.attestation?.type !== 'symmetricKey') return definition;
  const attestation: AttestationData = { type: 'symmetricKey' };
  return { ...definition, attestation };
}

function keysFingerprint(attestation: {
  readonly primaryKey?: string;
  readonly secondaryKey?: string;
}): string {
  return createHash('sha256').update(`${attestation.primaryKey}\n${attestation.secondaryKey}`).digest('hex');
}

function bounded(registers: Registers): Registers {
  let characters = 0;
  const definitions = registers.definitions.filter((each, index) => {
    characters += JSON.stringify(each).length;
    return index === 0 || characters <= maxDefinitionCharacters;
  });
  return { ...registers, definitions };
}

function stampOf(event: ManufacturingEvent, rank: number): Stamp {
  return { at: event.instant, rank, source: event.source, id: event.id, key: event.key };
}

function newer<T extends { readonly stamp: Stamp }>(old: T | undefined, candidate: T): T {
  if (old === undefined) return candidate;
  if (old.stamp.key === candidate.stamp.key) return old;
  return compareStamps(candidate.stamp, old.stamp) > 0 ? candidate : old;
}
