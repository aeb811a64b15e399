/** Every reason that `rejected` can have. */
export const rejectionReasons = [
  'malformed-json',
  'not-a-cloudevent',
  'unknown-type',
  'invalid-data',
  'too-large',
  'time-in-future',
  'unknown-product',
  'wrong-enrollment-kind',
  'invalid-registration-id',
  'invalid-batch-id',
  'invalid-attestation',
  'certificate-expired',
  'certificate-not-yet-valid',
  'certificate-weak',
  'certificate-not-a-ca',
  'certificate-name-mismatch',
  'not-per-device',
  'device-scrapped',
  'group-not-per-batch',
  'id-reuse',
  'not-permitted',
  'dps-rejected',
] as const;

export type RejectionReason = (typeof rejectionReasons)[number];

/** What does not reject an event. `unknown-member` names the member that was ignored. */
export type EventWarning =
  | 'certificate-expires-soon'
  | 'certificate-not-marked-ca'
  | 'not-in-dps'
  | `unknown-member: ${string}`;

export interface Rejection {
  readonly reason: RejectionReason;
  /** JSON pointer to the member that is wrong or missing; `""` is the whole body. */
  readonly pointer: string;
  /** What is wrong and what would be right. Holds no secret. */
  readonly detail: string;
  /** DPS's, where DPS rejected. */
  readonly trackingId?: string;
}
