import type { EventKey } from './event-identity.ts';
import type { Instant } from './instant.ts';
import type { JsonObject } from './json.ts';

export const eventKinds = [
  'device.manufactured',
  'device.changed',
  'device.held',
  'device.released',
  'device.returned',
  'device.scrapped',
  'batch.started',
  'batch.held',
  'batch.released',
  'batch.recalled',
  'batch.retired',
] as const;

/** The last two segments of a CloudEvent's type: what the event means. */
export type EventKind = (typeof eventKinds)[number];
export type DefinitionKind = 'device.manufactured' | 'device.changed' | 'batch.started';
export type SubjectKind = 'device' | 'batch';

export interface SymmetricKeyData {
  readonly type: 'symmetricKey';
  readonly primaryKey?: string;
  readonly secondaryKey?: string;
}
export interface TpmData {
  readonly type: 'tpm';
  readonly endorsementKey: string;
  readonly storageRootKey?: string;
}
export interface X509Data {
  readonly type: 'x509';
  readonly certificate?: string;
  readonly secondaryCertificate?: string;
  readonly signingCertificate?: string;
  readonly secondarySigningCertificate?: string;
  readonly caReference?: string;
  readonly secondaryCaReference?: string;
}
export type AttestationData = SymmetricKeyData | TpmData | X509Data;

export interface DefinitionData {
  readonly product: string;
  readonly batch?: string;
  readonly deviceId?: string;
  readonly attestation?: AttestationData;
  readonly tags?: JsonObject;
  readonly desired?: JsonObject;
  readonly deviceInformation?: JsonObject;
  /** For people, search and reports. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly remanufactured?: boolean;
}

/** What is known of an event once its envelope reads: enough to answer for it. */
export interface EventIdentity {
  readonly key: EventKey;
  readonly source: string;
  readonly id: string;
  /** As written. */
  readonly type: string;
  /** As written. */
  readonly subject: string;
  /** As written; undefined where it is missing. */
  readonly time: string | undefined;
  readonly fingerprint: string;
  /** What the subject is; of a type that does not say, a device. */
  readonly subjectKind: SubjectKind;
}

export interface ManufacturingEvent extends EventIdentity {
  readonly kind: EventKind;
  readonly instant: Instant;
  /** Of definitions only. */
  readonly definition?: DefinitionData;
  /** The leaf certificate that a device event brings, as PEM or base64 DER; not yet looked at. */
  readonly leafCertificate?: string;
  /** Of `device.held` and `batch.held`: why. */
  readonly reason?: string;
}

export function isDefinitionKind(kind: EventKind): kind is DefinitionKind {
  return kind === 'device.manufactured' || kind === 'device.changed' || kind === 'batch.started';
}

export function bringsKeys(attestation: AttestationData | undefined): attestation is SymmetricKeyData {
  return attestation?.type === 'symmetricKey' && attestation.primaryKey !== undefined;
}
