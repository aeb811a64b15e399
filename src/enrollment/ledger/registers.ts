import { compareText } from '../../events/compare-text.ts';
import type { EventKey } from '../../events/event-identity.ts';
import { type Instant, instantOf } from '../../events/instant.ts';
import { bringsKeys, isDefinitionKind, type ManufacturingEvent } from '../../events/manufacturing-event.ts';
import {
  newestAccepted,
  type VersionedDefinition,
  withDefinition,
  withoutDefinition,
} from './definitions-register.ts';
import { forgetKeys, type KeysRegister, mergeKeys } from './keys-register.ts';
import { compareVersions, type Version } from './version.ts';

export type Life = 'scrapped' | 'remanufactured' | 'recalled' | 'retired';

interface VersionedLife {
  readonly version: Version;
  readonly life: Life;
}

/**
 * Last-writer-wins registers of a device or a batch. Their merge is commutative, associative and idempotent, so
 * order, delay and repetition of events cannot matter.
 */
export interface Registers extends KeysRegister {
  /** The newest definition, then older ones to fall back on if DPS refuses it, down to the last that DPS accepted. */
  readonly definitions: readonly VersionedDefinition[];
  readonly hold?: { readonly version: Version; readonly held: boolean; readonly reason?: string };
  readonly life?: VersionedLife;
  /** What a device's life falls back on if DPS rejects the definition that remanufactured it, down to its scrapping. */
  readonly olderLives?: readonly VersionedLife[];
  /** The registration record goes if it was not updated after this instant, once. */
  readonly return?: { readonly version: Version; readonly notAfter: Instant; readonly done: boolean };
  /** How the oldest definition wrote the subject: the device id, where no definition names one. */
  readonly spelling?: { readonly version: Version; readonly subject: string };
  /** The certificate to keep the device out with. */
  readonly leafCertificate?: { readonly version: Version; readonly certificate: string };
}

export const noRegisters: Registers = { definitions: [] };

/** Merges one valid event, which arrived first at `arrivedAt`. */
export function mergeEvent(registers: Registers, event: ManufacturingEvent, arrivedAt: Date): Registers {
  let merged = mergeLeaf(registers, event);
  if (isDefinitionKind(event.kind)) {
    merged = mergeDefinition(merged, event);
  }
  switch (event.kind) {
    case 'device.held':
    case 'device.released':
    case 'batch.held':
    case 'batch.released': {
      const held = event.kind.endsWith('.held');
      const reason = event.reason === undefined ? {} : { reason: event.reason };
      return {
        ...merged,
        hold: newer(merged.hold, { version: versionOf(event, held ? 1 : 0), held, ...reason }),
      };
    }
    case 'device.returned':
      return mergeReturn(merged, versionOf(event, 0), arrivedAt);
    case 'device.scrapped':
      return mergeReturn(mergeLife(merged, versionOf(event, 2), 'scrapped'), versionOf(event, 2), arrivedAt);
    case 'device.manufactured':
      if (event.definition?.remanufactured !== true) {
        return merged;
      }
      return mergeReturn(
        mergeLife(merged, versionOf(event, 1), 'remanufactured'),
        versionOf(event, 1),
        arrivedAt,
      );
    case 'batch.recalled':
      return mergeLife(merged, versionOf(event, 0), 'recalled');
    case 'batch.retired':
      return mergeLife(merged, versionOf(event, 1), 'retired');
    default:
      return merged;
  }
}

/** Of an event that is rejected, only the leaf certificate counts: whatever became of the event. */
export function mergeLeaf(registers: Registers, event: ManufacturingEvent): Registers {
  if (event.leafCertificate === undefined) {
    return registers;
  }
  const leaf = { version: versionOf(event, 0), certificate: event.leafCertificate };
  return { ...registers, leafCertificate: newer(registers.leafCertificate, leaf) };
}

function mergeDefinition(registers: Registers, event: ManufacturingEvent): Registers {
  if (!event.definition) {
    return registers;
  }
  const version = definitionVersion(event);
  const definitions = withDefinition(registers.definitions, version, event.definition);
  const spelling = older(registers.spelling, { version, subject: event.subject });
  const merged = { ...registers, definitions, spelling };
  const { attestation } = event.definition;
  return bringsKeys(attestation) ? mergeKeys(merged, version, attestation) : merged;
}

function mergeLife(registers: Registers, version: Version, life: Life): Registers {
  const old = registers.life;
  // Of a batch's ends the graver stays, whatever the times.
  if (old && (life === 'recalled' || life === 'retired') && old.life !== life) {
    return old.life === 'retired' ? registers : { ...registers, life: { version, life } };
  }
  const known = [...(old ? [old] : []), ...(registers.olderLives ?? [])];
  if (known.some((each) => each.version.key === version.key)) {
    return registers;
  }
  return withLives(
    registers,
    [...known, { version, life }].sort((left, right) => compareVersions(right.version, left.version)),
  );
}

function withLives(registers: Registers, sorted: readonly VersionedLife[]): Registers {
  const { life: _, olderLives: __, ...rest } = registers;
  const last = sorted.findIndex(({ life }) => life !== 'remanufactured');
  const [life, ...olderLives] = last < 0 ? sorted : sorted.slice(0, last + 1);
  return { ...rest, ...(life ? { life } : {}), ...(olderLives.length > 0 ? { olderLives } : {}) };
}

function mergeReturn(registers: Registers, version: Version, arrivedAt: Date): Registers {
  const arrival = instantOf(arrivedAt);
  const notAfter = compareText(version.at, arrival) < 0 ? version.at : arrival;
  return { ...registers, return: newer(registers.return, { version, notAfter, done: false }) };
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
  const lives = [...(life ? [life] : []), ...olderLives].filter(({ version }) => version.key !== key);
  const definitions = withoutDefinition(registers.definitions, key);
  return forgetKeys(withLives({ ...registers, definitions }, lives), [key]);
}

export function returnDone(registers: Registers): Registers {
  if (!registers.return || registers.return.done) {
    return registers;
  }
  return { ...registers, return: { ...registers.return, done: true } };
}

export type End = 'succeeded' | 'superseded' | 'device-scrapped';

/** What of an event decides how it ends: so much is kept of it after its message is gone. */
export type MergedEvent = Pick<ManufacturingEvent, 'key' | 'kind' | 'instant' | 'source' | 'id'>;

/** How an event ends that was merged into these registers. */
export function evaluateEnd(registers: Registers, event: MergedEvent): End {
  const holds = (register: { readonly version: Version } | undefined) => register?.version.key === event.key;
  const others = [registers.hold, registers.life, registers.return].some(holds);
  if (!isDefinitionKind(event.kind)) {
    return others ? 'succeeded' : 'superseded';
  }
  if (registers.life?.life === 'retired') {
    return 'superseded';
  }
  if (registers.life?.life === 'scrapped') {
    return event.instant > registers.life.version.at ? 'device-scrapped' : 'superseded';
  }
  return others || holds(registers.definitions[0]) || holds(registers.keys) ? 'succeeded' : 'superseded';
}

function definitionVersion(event: MergedEvent): Version {
  return versionOf(event, event.kind === 'device.changed' ? 1 : 0);
}

function versionOf(event: MergedEvent, tieBreak: number): Version {
  return { at: event.instant, tieBreak, source: event.source, id: event.id, key: event.key };
}

function older<T extends { readonly version: Version }>(old: T | undefined, candidate: T): T {
  return old === undefined || compareVersions(candidate.version, old.version) < 0 ? candidate : old;
}

function newer<T extends { readonly version: Version }>(old: T | undefined, candidate: T): T {
  if (old === undefined) {
    return candidate;
  }
  if (old.version.key === candidate.version.key) {
    return old;
  }
  return compareVersions(candidate.version, old.version) > 0 ? candidate : old;
}
