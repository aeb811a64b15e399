import { createHash, randomUUID } from 'node:crypto';
import { readCertificateText } from '../../dps/certificate-reader.ts';
import type { DeviceProvisioningClient } from '../../dps/client.ts';
import { deriveDeviceKey } from '../../dps/device-key.ts';
import { DeviceProvisioningError } from '../../dps/errors.ts';
import { ifFound } from '../../dps/if-found.ts';
import type { AttestationMechanism, X509Certificates, X509CertificateWithInfo } from '../../dps/models.ts';
import { eventKey } from '../../events/event-identity.ts';
import type { Clock } from '../../tools/clock.ts';
import type { Log } from '../../tools/log.ts';
import { RetryLaterError } from '../dps-access/retry-later-error.ts';
import type { ThrottledDps } from '../dps-access/throttled-dps.ts';
import { type DesiredState, desiredState, isKeptOut } from '../ledger/desired-state.ts';
import { type Ledger, type LedgerView, subjectOf } from '../ledger/ledger.ts';
import type { EnrollmentProfiles } from '../ledger/profiles.ts';
import { type EventRecord, isInSync } from '../ledger/subject-state.ts';
import type { MinuteLimit } from './minute-limit.ts';

/** What the line writes into a device. */
export interface DeviceCredentials {
  /** As the device must send it: a key that is derived is good for this spelling alone. */
  readonly registrationId: string;
  readonly deviceId: string;
  readonly attestation: 'symmetricKey' | 'x509' | 'tpm';
  readonly symmetricKey?: { readonly primaryKey: string; readonly secondaryKey: string };
  /** No secrets: what the device's certificate or TPM must be. */
  readonly x509?: { readonly primary?: Thumbprints; readonly secondary?: Thumbprints };
  readonly tpm?: { readonly endorsementKey: string };
}

/** Upper-case hex. */
export interface Thumbprints {
  readonly sha1Thumbprint: string;
  readonly sha256Thumbprint: string;
}

/** Who asks, and how. */
export interface Requester {
  /** A CloudEvents source: `/people/…`, or `/keys/…` for whoever has a function key. */
  readonly source: string;
  readonly through: 'api' | 'page' | 'label';
  /** Where the request came from, if the platform says so. */
  readonly address?: string | undefined;
}

export type RefusalReason = 'unknown' | 'kept-out' | 'not-applied' | 'not-in-dps' | 'limit';

/** The device has no credentials that may be handed out now. */
export class CredentialsRefusedError extends Error {
  override name = 'CredentialsRefusedError';
  readonly reason: RefusalReason;
  readonly retryAfterInSeconds: number | undefined;

  constructor(reason: RefusalReason, message: string, retryAfterInSeconds?: number) {
    super(message);
    this.reason = reason;
    this.retryAfterInSeconds = retryAfterInSeconds;
  }
}

export interface CredentialsParts {
  readonly ledger: Ledger;
  readonly profiles: EnrollmentProfiles;
  readonly dps: Pick<DeviceProvisioningClient, 'individualEnrollments' | 'enrollmentGroups'>;
  readonly throttledDps: Pick<ThrottledDps, 'call'>;
  readonly limit: MinuteLimit;
  readonly perMinute: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Where a device's credentials are: in an enrollment of its own, or in that of its group. */
interface Place {
  readonly device: LedgerView;
  readonly desired: Extract<DesiredState, { kind: 'enrollment' | 'member' }>;
  /** Its group, where that is a batch of ours. */
  readonly group: LedgerView | undefined;
}

const waitInMs = 5_000;
const attemptsAtMost = 3;
const retryAfterInSeconds = 5;

/**
 * Hands out what the line writes into devices, of devices that should be let in alone. Who asked is noted before the
 * response; the keys are in the response and nowhere else.
 */
export class DeviceCredentialsReader {
  readonly #parts: CredentialsParts;

  constructor(parts: CredentialsParts) {
    this.#parts = parts;
  }

  /**
   * @throws CredentialsRefusedError where the device must not have them, or has none
   * @throws RetryLaterError, DeviceProvisioningError, StorageUnavailableError where they cannot be read now
   */
  async read(id: string, requester: Requester): Promise<DeviceCredentials> {
    await this.#takeFromLimit(id, requester);
    for (let attempt = 0; attempt < attemptsAtMost; attempt++) {
      const place = await this.#place(id);
      const credentials = credentialsAt(place, await this.#mechanism(place));
      if (await this.#isCurrent(place)) {
        await this.#note(place, credentials, requester);
        return credentials;
      }
    }
    throw new RetryLaterError('The events of the device change too often.', { soon: true });
  }

  async #takeFromLimit(id: string, { source, through, address }: Requester): Promise<void> {
    const { limit, perMinute, log } = this.#parts;
    const wait = await limit.take();
    if (wait !== undefined) {
      log('warning', 'credentials-limited', { perMinute, registrationId: id, source, through, address });
      throw new CredentialsRefusedError(
        'limit',
        `Credentials were asked for more than ${perMinute} times this minute (CREDENTIALS_PER_MINUTE). Ask again in ${wait} seconds.`,
        wait,
      );
    }
  }

  async #place(id: string): Promise<Place> {
    const { ledger } = this.#parts;
    const device = await ledger.read(subjectOf('device', id));
    const desired = this.#desired(device);
    if (isKeptOut(desired, device.state.registers)) {
      throw new CredentialsRefusedError('kept-out', `The device ${id} is held or scrapped.`);
    }
    if (device.state.registers.definitions.length === 0) {
      throw new CredentialsRefusedError('unknown', `No event has defined the device ${id}.`);
    }
    refuseUnapplied(device);
    if (desired.kind === 'enrollment') {
      return { device, desired, group: undefined };
    }
    if (desired.kind !== 'member') {
      throw new CredentialsRefusedError(
        'kept-out',
        `No enrollment profile is for the product of ${id}: nothing says how it is let in.`,
      );
    }
    const group = await ledger.read(subjectOf('batch', desired.enrollmentGroupId));
    this.#refuseClosed(group);
    return { device, desired, group };
  }

  /** A group that no event speaks of is managed elsewhere: DPS decides. */
  #refuseClosed(group: LedgerView): void {
    const { life } = group.state.registers;
    const desired = this.#desired(group);
    const isClosed =
      life?.life === 'recalled' ||
      life?.life === 'retired' ||
      desired.kind === 'shut' ||
      (desired.kind === 'group' && desired.group.provisioningStatus === 'disabled');
    if (isClosed) {
      throw new CredentialsRefusedError(
        'kept-out',
        `The batch ${group.subject.id} is held, recalled or retired, and the device is in it.`,
      );
    }
    refuseUnapplied(group);
  }

  async #mechanism({ device, desired }: Place): Promise<AttestationMechanism> {
    const { individualEnrollments, enrollmentGroups } = this.#parts.dps;
    const mechanism = await this.#call((options) =>
      desired.kind === 'enrollment'
        ? individualEnrollments.getAttestationMechanism(device.subject.id, options)
        : enrollmentGroups.getAttestationMechanism(desired.enrollmentGroupId, options),
    );
    if (!mechanism) {
      const what =
        desired.kind === 'enrollment'
          ? `no enrollment of ${device.subject.id}`
          : `no enrollment group ${desired.enrollmentGroupId}`;
      throw new CredentialsRefusedError('not-in-dps', `DPS has ${what}, though the events ask for it.`);
    }
    return mechanism;
  }

  #call<T>(operation: (options: { abortSignal: AbortSignal }) => Promise<T>): Promise<T | undefined> {
    const deadline = this.#parts.clock.now().getTime() + waitInMs;
    return this.#parts.throttledDps.call('pipeline', deadline, async () => {
      const abortSignal = AbortSignal.timeout(waitInMs);
      try {
        return await ifFound(operation({ abortSignal }));
      } catch (error) {
        if (abortSignal.aborted && !(error instanceof DeviceProvisioningError)) {
          throw new RetryLaterError('DPS did not answer within 5 seconds.');
        }
        throw error;
      }
    });
  }

  /** A hold that came while DPS was asked counts. */
  async #isCurrent({ device, group }: Place): Promise<boolean> {
    const { ledger } = this.#parts;
    const views = group ? [device, group] : [device];
    return (await Promise.all(views.map((view) => ledger.isCurrent(view)))).every(Boolean);
  }

  /** Into the device's history, like an event that has ended, and into the log. */
  async #note(
    { device }: Place,
    { registrationId, attestation }: DeviceCredentials,
    { source, through, address }: Requester,
  ): Promise<void> {
    const { ledger, clock, log } = this.#parts;
    const at = clock.now().toISOString();
    const id = randomUUID();
    const key = eventKey(source, id, registrationId);
    const from = address === undefined ? '' : `, from ${address}`;
    const record: EventRecord = {
      ...{ key, source, id, type: 'credentials.handed-out', subject: registrationId, time: at },
      ...{ fingerprint: key, status: 'succeeded', receivedAt: at, finishedAt: at, attempts: 1, warnings: [] },
      detail: `${attestationNames[attestation]}, through the ${channelNames[through]}${from}`,
    };
    await ledger.write(device, { events: [record] });
    log('information', 'credentials-handed-out', { registrationId, attestation, source, through, address });
  }

  #desired({ subject, state }: LedgerView): DesiredState {
    return desiredState(subject.kind, subject.id, state.registers, this.#parts.profiles);
  }
}

const attestationNames: Readonly<Record<DeviceCredentials['attestation'], string>> = {
  symmetricKey: 'Symmetric keys',
  x509: 'Thumbprints',
  tpm: 'Endorsement key',
};
const channelNames: Readonly<Record<Requester['through'], string>> = {
  api: 'API',
  page: 'device page',
  label: 'label',
};

/** Keys in DPS may be those of before. */
function refuseUnapplied({ subject, state }: LedgerView): void {
  if (!isInSync(state)) {
    throw new CredentialsRefusedError(
      'not-applied',
      `Events of the ${subject.kind} ${subject.id} have not reached DPS yet: its keys may still change. Ask again in ${retryAfterInSeconds} seconds.`,
      retryAfterInSeconds,
    );
  }
}

function credentialsAt({ device, desired }: Place, mechanism: AttestationMechanism): DeviceCredentials {
  const { spelling, leafCertificate } = device.state.registers;
  const registrationId = spelling?.subject ?? device.subject.id;
  const deviceId =
    desired.kind === 'enrollment' ? (desired.enrollment.deviceId ?? registrationId) : registrationId;
  const ids = { registrationId, deviceId };
  if (mechanism.type === 'tpm') {
    const { endorsementKey = '' } = mechanism.tpm ?? {};
    return { ...ids, attestation: 'tpm', tpm: { endorsementKey } };
  }
  if (mechanism.type === 'x509') {
    // Of a group, DPS has the issuer's certificate.
    const x509 =
      desired.kind === 'enrollment'
        ? thumbprintsOf(mechanism.x509?.clientCertificates ?? {})
        : leafCertificate && thumbprintsOfLeaf(leafCertificate.certificate);
    return { ...ids, attestation: 'x509', ...(x509 ? { x509 } : {}) };
  }
  const { primaryKey = '', secondaryKey = '' } = mechanism.symmetricKey ?? {};
  if (primaryKey === '' || secondaryKey === '') {
    throw new CredentialsRefusedError('not-in-dps', `DPS tells no keys of ${registrationId}.`);
  }
  const ofDevice = (key: string) => (desired.kind === 'member' ? deriveDeviceKey(key, registrationId) : key);
  return {
    ...ids,
    attestation: 'symmetricKey',
    symmetricKey: { primaryKey: ofDevice(primaryKey), secondaryKey: ofDevice(secondaryKey) },
  };
}

function thumbprintsOf({ primary, secondary }: X509Certificates): DeviceCredentials['x509'] {
  const of = ({ info }: X509CertificateWithInfo) =>
    info && { sha1Thumbprint: info.sha1Thumbprint, sha256Thumbprint: info.sha256Thumbprint };
  const [first, second] = [primary && of(primary), secondary && of(secondary)];
  return { ...(first ? { primary: first } : {}), ...(second ? { secondary: second } : {}) };
}

function thumbprintsOfLeaf(certificate: string): DeviceCredentials['x509'] {
  const read = readCertificateText(certificate);
  if (typeof read === 'string') {
    return undefined;
  }
  const of = (algorithm: string) => createHash(algorithm).update(read.der).digest('hex').toUpperCase();
  return { primary: { sha1Thumbprint: of('sha1'), sha256Thumbprint: of('sha256') } };
}
