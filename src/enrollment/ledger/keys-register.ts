import { createHash } from 'node:crypto';

import type { EventKey } from '../../events/event-identity.ts';
import type { SymmetricKeyData } from '../../events/manufacturing-event.ts';
import { compareVersions, type Version } from './version.ts';

/** Symmetric keys that an event brought: of the keys themselves no more than a fingerprint. */
export interface SuppliedKeys {
  readonly version: Version;
  readonly fingerprint: string;
  /** They are in DPS. */
  readonly applied: boolean;
}

export interface KeysRegister {
  readonly keys?: SuppliedKeys;
  /**
   * What is in force if the newest end without being applied, newest first: those that wait, too, and the last that
   * were applied, behind which none is needed.
   */
  readonly olderKeys?: readonly SuppliedKeys[];
}

export function mergeKeys<T extends KeysRegister>(registers: T, version: Version, data: SymmetricKeyData): T {
  const known = all(registers);
  if (known.some((each) => each.version.key === version.key)) {
    return registers;
  }
  const candidate: SuppliedKeys = { version, fingerprint: fingerprintOf(data), applied: false };
  return withAll(
    registers,
    [candidate, ...known].sort((left, right) => compareVersions(right.version, left.version)),
  );
}

/** Keys whose events end without applying them are forgotten: no message is left that holds them. */
export function forgetKeys<T extends KeysRegister>(registers: T, ended: readonly EventKey[]): T {
  const kept = all(registers).filter((each) => each.applied || !ended.includes(each.version.key));
  return withAll(registers, kept);
}

export function bringsUnappliedKeys({ keys, olderKeys }: KeysRegister, key: EventKey): boolean {
  return [keys, ...(olderKeys ?? [])].some((each) => each?.version.key === key && !each.applied);
}

export function keysApplied<T extends KeysRegister>(registers: T): T {
  if (!registers.keys || registers.keys.applied) {
    return registers;
  }
  return withAll(registers, [{ ...registers.keys, applied: true }]);
}

function all({ keys, olderKeys = [] }: KeysRegister): readonly SuppliedKeys[] {
  return keys ? [keys, ...olderKeys] : [];
}

function withAll<T extends KeysRegister>(registers: T, sorted: readonly SuppliedKeys[]): T {
  const { keys: _, olderKeys: __, ...rest } = registers;
  const applied = sorted.findIndex((each) => each.applied);
  const [keys, ...olderKeys] = applied < 0 ? sorted : sorted.slice(0, applied + 1);
  const register: KeysRegister = {
    ...(keys ? { keys } : {}),
    ...(olderKeys.length > 0 ? { olderKeys } : {}),
  };
  return { ...rest, ...register } as T;
}

function fingerprintOf({ primaryKey, secondaryKey }: SymmetricKeyData): string {
  return createHash('sha256').update(`${primaryKey}\n${secondaryKey}`).digest('hex');
}
