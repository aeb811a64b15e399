/** What a demo has seen; `summary.json` beside the report. */
export interface DemoSummary {
  readonly events: {
    readonly total: number;
    readonly overHttp: number;
    readonly overQueue: number;
    readonly repeats: number;
  };
  /** Refused by HTTP: nothing of them was queued. */
  readonly refusedAtTheDoor: Readonly<Record<string, number>>;
  readonly outcomes: {
    readonly succeeded: number;
    readonly superseded: number;
    readonly rejected: number;
    readonly rejectedReasons: Readonly<Record<string, number>>;
    readonly stillConnected: readonly string[];
  };
  readonly dps: {
    readonly individualEnrollments: number;
    readonly disabled: number;
    readonly enrollmentGroups: number;
  };
  readonly registrations: Readonly<Record<string, number>>;
  /** How the devices came, and how they proved who they are. */
  readonly devices: {
    readonly protocols: Readonly<Record<string, number>>;
    readonly attestations: Readonly<Record<string, number>>;
  };
  readonly audit: {
    readonly id: string;
    readonly operations: number;
    readonly states: Readonly<Record<string, number>>;
    readonly findings: readonly {
      readonly severity: string;
      readonly code: string;
      readonly subject: string;
    }[];
  };
  /** What the audit of the next day says, against the first one. */
  readonly nextDay: {
    readonly new: number;
    readonly cameBack: number;
    readonly resolved: number;
    readonly stillOpen: number;
  };
  readonly report: string;
}

export function count(values: Iterable<string>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) {
    counts[value] = (counts[value] ?? 0) + 1;
  }
  return counts;
}

/** `url`: the app that stays, to be looked at. */
export function summaryText(summary: DemoSummary, seconds: number, url?: string): string {
  const { events, refusedAtTheDoor, outcomes, dps, registrations, devices, audit, nextDay, report } = summary;
  const byCode = count(audit.findings.map(({ severity, code }) => `${severity.padEnd(8)}  ${code}`));
  return [
    '',
    `Events in        ${events.total}: ${events.overHttp} over HTTP, ${events.overQueue} over the queue, ${events.repeats} of them repeats`,
    `  refused (400)  ${listed(refusedAtTheDoor)}`,
    `  succeeded      ${outcomes.succeeded}`,
    `  superseded     ${outcomes.superseded}`,
    `  rejected       ${outcomes.rejected}: ${listed(outcomes.rejectedReasons)}`,
    `In DPS           ${dps.individualEnrollments} individual enrollments (${dps.disabled} disabled), ${dps.enrollmentGroups} enrollment groups`,
    `Devices          ${listed(registrations)}`,
    `  they came by   ${listed(devices.protocols)}`,
    `  and showed     ${listed(devices.attestations)}`,
    `Audit            ${audit.findings.length} findings, ${audit.operations} DPS operations; registration states: ${listed(audit.states)}`,
    ...Object.entries(byCode).map(([what, times]) => `  ${String(times).padStart(3)} ${what}`),
    `The next day     ${nextDay.new} new, ${nextDay.resolved} resolved, ${nextDay.stillOpen} still open`,
    `Report           ${report}`,
    `Done in ${seconds.toFixed(1)} s.`,
    url === undefined
      ? 'To look at the pages, npm run demo -- --stay ends with their address.'
      : `Look at it       ${url}/fleet  (until Ctrl-C)`,
  ].join('\n');
}

function listed(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).filter(([, times]) => times > 0);
  return parts.length === 0 ? 'none' : parts.map(([name, times]) => `${times} ${name}`).join(', ');
}
