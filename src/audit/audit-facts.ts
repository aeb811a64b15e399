import {
  type AuditedChange,
  type AuditFacts,
  type RegistrationStatus,
  registrationStates,
} from '../fleet/fleet-entry.ts';
import type { Finding } from './finding.ts';
import type { Registration } from './registration-snapshot.ts';

/** So many of the changes that audits saw are kept with a device. */
const changesKept = 20;

export interface Seen {
  readonly registration: (Registration & Partial<RegistrationDetails>) | undefined;
  /** Not switched on yet. */
  readonly waiting: boolean;
  readonly findings: readonly Finding[];
}

interface RegistrationDetails {
  readonly errorCode: number | undefined;
  readonly errorMessage: string | undefined;
}

/** What lists and pages show of what the audit saw, with what changed since the audit before. */
export function auditFacts(before: AuditFacts | undefined, seen: Seen, now: Date): AuditFacts {
  const { registration, waiting } = seen;
  const at = now.toISOString();
  const state = registrationStates.find((each) => each === registration?.status);
  const known = new Map(before?.findings.map((finding) => [finding.code, finding]));
  // A subject has a finding of a code once; the detail of one that stays may say something new.
  const findings = [...new Map(seen.findings.map((finding) => [finding.code, finding])).values()].map(
    ({ code, severity, detail }) => ({ code, severity, detail, since: known.get(code)?.since ?? at }),
  );
  const hub = registration?.assignedHub;
  const changes = changesSince(before, { state, hub, findings, lastUpdated: registration?.lastUpdated, at });
  return {
    // Nothing is written only because time went by.
    auditedAt: before && changes.length === 0 ? before.auditedAt : at,
    ...(state === undefined ? {} : { state }),
    ...(hub === undefined ? {} : { hub }),
    ...(registration?.created === undefined ? {} : { firstRegisteredAt: registration.created }),
    ...(registration?.lastUpdated === undefined ? {} : { registeredAt: registration.lastUpdated }),
    ...(registration?.errorCode === undefined ? {} : { errorCode: registration.errorCode }),
    ...(registration?.errorMessage === undefined ? {} : { errorMessage: registration.errorMessage }),
    waiting,
    findings,
    history: [...(before?.history ?? []), ...changes].slice(-changesKept),
  };
}

interface Current {
  readonly state: RegistrationStatus | undefined;
  readonly hub: string | undefined;
  readonly findings: AuditFacts['findings'];
  readonly lastUpdated: string | undefined;
  readonly at: string;
}

function changesSince(before: AuditFacts | undefined, now: Current): AuditedChange[] {
  const { state, hub, findings, at } = now;
  const changes: AuditedChange[] = [];
  const registered = now.lastUpdated ?? at;
  if (state !== undefined && state !== 'unassigned' && state !== before?.state) {
    changes.push({ at: registered, what: 'registration', text: state });
  }
  if (hub !== undefined && hub !== before?.hub) {
    changes.push({ at: registered, what: 'hub', text: hub });
  }
  const known = new Set(before?.findings.map(({ code }) => code));
  const open = new Set(findings.map(({ code }) => code));
  for (const code of [...open].filter((each) => !known.has(each))) {
    changes.push({ at, what: 'found', text: code });
  }
  for (const code of [...known].filter((each) => !open.has(each))) {
    changes.push({ at, what: 'resolved', text: code });
  }
  return changes;
}
