/** What the audit may find, the gravest first. */
export const findingCodes = [
  'registered-but-unknown',
  'held-yet-open',
  'disabled-yet-assigned',
  'enrollment-missing',
  'group-missing',
  'enrollment-differs',
  'enrollment-unknown',
  'not-applied',
  'registration-failed',
  'never-registered',
  'wrong-hub',
  'registers-again-and-again',
  'certificate-expired',
  'certificate-expires-soon',
  'certificate-shared',
  'group-limit',
  'quota-nearly-used',
] as const;

export const severities = ['critical', 'warning', 'info'] as const;

export type FindingCode = (typeof findingCodes)[number];
export type Severity = (typeof severities)[number];

/** Of devices that DPS has and no event has named. */
export function isOfUnknown(code: FindingCode): boolean {
  return code === 'registered-but-unknown' || code === 'enrollment-unknown';
}

/** Code and subject are its identity: a subject has a finding of a code once. */
export interface Finding {
  readonly severity: Severity;
  readonly code: FindingCode;
  /** A registration id or batch id; of what concerns no single one, what it concerns. */
  readonly subject: string;
  /** What happened, what it means, what to do next. */
  readonly detail: string;
}

export interface ReportedFinding extends Finding {
  readonly firstSeen: string;
  readonly lastSeen: string;
}
