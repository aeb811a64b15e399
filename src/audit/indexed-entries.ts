import type { SubjectKind } from '../events/manufacturing-event.ts';
import type { IndexedEntry } from '../fleet/fleet-index.ts';
import type { AuditStep } from './audit-step.ts';

/** What the index has of a page of the ledger: what is missing or stale there is mended with what is seen now. */
export function listedBeside(step: AuditStep, kind: SubjectKind, states: readonly { readonly id: string }[]) {
  const [first, last] = [states[0]?.id, states.at(-1)?.id];
  return first === undefined || last === undefined
    ? new Map<string, IndexedEntry>()
    : step.parts.fleet.entriesBetween(kind, first, last);
}
