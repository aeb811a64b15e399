/**
 * The records of the DPS service data plane, as they travel, for API versions 2021-10-01 and
 * 2025-07-01-preview. Members that only the service sets are `readonly`; it ignores them on the way in, so
 * what `get` answered may be changed and sent back.
 *
 * Source: the OpenAPI specifications `dps-service-2021-10-01` and `dps-service-2025-07-01-preview`, and
 * recorded traffic of the live service where they are silent.
 */

/** How a device proves who it is. Enrollment groups cannot use `tpm`. */
export type AttestationType = 'none' | 'tpm' | 'x509' | 'symmetricKey';

/** Whether devices may provision through an entry. Absent on the way in means `enabled`. */
export type ProvisioningStatus = 'enabled' | 'disabled';

/**
 * How DPS picks the IoT hub of a device: by weighted hash, by lowest latency, the one named hub, or by
 * asking a webhook ({@link CustomAllocationDefinition}). Absent: as the DPS instance is set.
 */
export type AllocationPolicy = 'hashed' | 'geoLatency' | 'static' | 'custom';

/** Where a device's registration stands. */
export type RegistrationStatus = 'unassigned' | 'assigning' | 'assigned' | 'failed' | 'disabled';

/** How an `assigned` device came to its hub. */
export type RegistrationSubstatus =
  | 'initialAssignment'
  | 'deviceDataMigrated'
  | 'deviceDataReset'
  | 'reprovisionedToInitialAssignment';

/**
 * `create` fails for ids that exist. `update` replaces records whose item has an `etag` (`*` for any);
 * the service takes an `update` without etag for a creation, so this client refuses it. `updateIfMatchETag`
 * requires a matching `etag`. `delete` needs no more than the id.
 */
export type BulkOperationMode = 'create' | 'update' | 'updateIfMatchETag' | 'delete';

/** Twin content: opaque JSON, passed through unchanged, keys like `version` and `metadata` included. */
export type TwinCollection = Record<string, unknown>;

/** The TPM's identity. Both keys are base64. */
export interface TpmAttestation {
  endorsementKey: string;
  storageRootKey?: string;
}

/**
 * Base64 of 16 to 64 bytes each. With both omitted, DPS generates them on creation. What an update without
 * keys does is not documented; it may generate new ones and so lock out a device in the field: always send
 * both again, as `getAttestationMechanism` gives them. `get` and `query` never carry keys.
 */
export interface SymmetricKeyAttestation {
  primaryKey?: string;
  secondaryKey?: string;
}

/** What DPS keeps of a certificate. Thumbprints are upper-case hex; times ISO 8601, UTC. */
export interface X509CertificateInfo {
  subjectName: string;
  sha1Thumbprint: string;
  sha256Thumbprint: string;
  issuerName: string;
  notBeforeUtc: string;
  notAfterUtc: string;
  serialNumber: string;
  version: number;
}

/** On the way in `certificate` (PEM, or base64 of DER), on the way out `info` alone. */
export interface X509CertificateWithInfo {
  certificate?: string;
  info?: X509CertificateInfo;
}

/** Two certificates, so that one can be replaced while the other works. */
export interface X509Certificates {
  primary?: X509CertificateWithInfo | null;
  secondary?: X509CertificateWithInfo | null;
}

/** Names of CA certificates that were uploaded to the DPS instance and verified. */
export interface X509CaReferences {
  primary?: string;
  secondary?: string;
}

/** Individual enrollments use `clientCertificates`; groups `signingCertificates` or `caReferences`. */
export interface X509Attestation {
  clientCertificates?: X509Certificates;
  signingCertificates?: X509Certificates;
  caReferences?: X509CaReferences;
}

/** The attestation of an enrollment or group; `type` says which member is filled. */
export type AttestationMechanism =
  | { type: 'none'; tpm?: never; x509?: never; symmetricKey?: never }
  | { type: 'tpm'; tpm: TpmAttestation; x509?: never; symmetricKey?: never }
  | { type: 'x509'; tpm?: never; x509: X509Attestation; symmetricKey?: never }
  | { type: 'symmetricKey'; tpm?: never; x509?: never; symmetricKey?: SymmetricKeyAttestation };

/** What the device can do besides being a device. */
export interface DeviceCapabilities {
  iotEdge: boolean;
}

/** The device twin as it is when the device first comes to its hub. */
export interface InitialTwin {
  tags?: TwinCollection;
  properties?: InitialTwinProperties;
}

/** The desired properties of an {@link InitialTwin}. */
export interface InitialTwinProperties {
  desired?: TwinCollection;
}

/** What happens when a device that has a hub registers again. */
export interface ReprovisionPolicy {
  /** `true`: choose the hub anew. `false`: stay with the present one. */
  updateHubAssignment: boolean;
  /** `true`: the twin moves along. `false`: the twin is reset to the enrollment's initial twin. */
  migrateDeviceData: boolean;
}

/** The webhook of allocation policy `custom`. Its URL may hold a function key; this client never logs it. */
export interface CustomAllocationDefinition {
  webhookUrl: string;
  /** `2018-09-01-preview` or later. */
  apiVersion: string;
}

/** What individual enrollments and enrollment groups have in common. */
export interface EnrollmentProperties {
  attestation: AttestationMechanism;
  capabilities?: DeviceCapabilities;
  /** The older way to name a single hub; prefer `iotHubs`. */
  iotHubHostName?: string;
  initialTwin?: InitialTwin;
  /** Changes with every write. For single operations send it as `ifMatch`; bulk operations read it here. */
  etag?: string;
  /** `null` only where another client stored a null: that means enabled. */
  provisioningStatus?: ProvisioningStatus | null;
  reprovisionPolicy?: ReprovisionPolicy;
  /** ISO 8601, UTC, up to seven digits of a second's fraction. */
  readonly createdDateTimeUtc?: string;
  /** ISO 8601, UTC, up to seven digits of a second's fraction. */
  readonly lastUpdatedDateTimeUtc?: string;
  allocationPolicy?: AllocationPolicy;
  /** Host names, a part of those that are linked to the instance. Absent: all linked hubs. */
  iotHubs?: string[];
  customAllocationDefinition?: CustomAllocationDefinition;
  /** A credential policy for issued certificates. Needs `serviceVersion: '2025-07-01-preview'`. */
  credentialPolicyName?: string;
}

/** One device that may provision. */
export interface IndividualEnrollment extends EnrollmentProperties {
  /** 1 to 128 of letters, digits and `-._:`; compared without case. With X.509: the certificate's CN. */
  registrationId: string;
  /** The device's id in its IoT hub. Absent: the registration id. */
  deviceId?: string;
  /** Only in what `get` answers. */
  readonly registrationState?: DeviceRegistrationState;
  optionalDeviceInformation?: TwinCollection;
}

/** Many devices that may provision by one attestation. */
export interface EnrollmentGroup extends EnrollmentProperties {
  /** 1 to 128 of letters, digits and `-._:`; compared without case. */
  enrollmentGroupId: string;
}

/** What became of a device that registered. */
export interface DeviceRegistrationState {
  readonly registrationId?: string;
  readonly createdDateTimeUtc?: string;
  /** The host name of the device's IoT hub. */
  readonly assignedHub?: string;
  readonly deviceId?: string;
  readonly status?: RegistrationStatus;
  readonly substatus?: RegistrationSubstatus;
  /** Why the registration failed; six digits, the first three an HTTP status. */
  readonly errorCode?: number;
  readonly errorMessage?: string;
  readonly lastUpdatedDateTimeUtc?: string;
  readonly etag?: string;
  /** What a custom allocation webhook returned for the device. */
  readonly payload?: Record<string, unknown>;
}

/** A bulk operation on individual enrollments; at most 10 of them. */
export interface IndividualEnrollmentBulkOperation {
  mode: BulkOperationMode;
  /** For `delete` the id is enough. */
  enrollments: readonly (IndividualEnrollment | IndividualEnrollmentKey)[];
}

/** A bulk operation on enrollment groups; at most 10 of them. */
export interface EnrollmentGroupBulkOperation {
  mode: BulkOperationMode;
  /** For `delete` the id is enough. */
  enrollmentGroups: readonly (EnrollmentGroup | EnrollmentGroupKey)[];
}

/** An individual enrollment by name, for deletion. */
export interface IndividualEnrollmentKey {
  registrationId: string;
  etag?: string;
}

/** An enrollment group by name, for deletion. */
export interface EnrollmentGroupKey {
  enrollmentGroupId: string;
  etag?: string;
}

/** What a bulk operation did. Items that are not among the errors were done. */
export interface BulkOperationResult<TError> {
  /** `false` if any item failed. */
  isSuccessful: boolean;
  errors: TError[];
}

/** Why an individual enrollment of a bulk operation failed. */
export interface IndividualEnrollmentBulkError {
  registrationId: string;
  /** Six digits, the first three an HTTP status: 409201 is "Enrollment already exists." */
  errorCode: number;
  errorStatus: string;
}

/** Why an enrollment group of a bulk operation failed. */
export interface EnrollmentGroupBulkError {
  enrollmentGroupId: string;
  /** Six digits, the first three an HTTP status: 409202 is "EnrollmentGroup already exists." */
  errorCode: number;
  errorStatus: string;
}
