import { type ReadCertificate, readCertificateDer } from '../../dps/certificate-reader.ts';
import { isIssuedBy, isValidAt } from './certificate-info.ts';
import { type EnrollmentKind, groupKind, individualKind, keyOf } from './enrollment-kinds.ts';
import { ServiceError, type ServiceErrorName } from './errors.ts';
import { deriveDeviceKey, isExpired, isSignedWith, parseSas, type SasToken } from './sas.ts';
import type { EmulatorState, StoredEnrollment } from './state.ts';

const deviceKeyName = 'registration';
const maxCommonName = 64;

export interface DeviceCredentials {
  readonly transport: 'http' | 'mqtt';
  readonly authorization: string | undefined;
  /** As the device presented it in the TLS handshake, leaf first; empty without a client certificate. */
  readonly chain: readonly ReadCertificate[];
}

/** The enrollment that decides about a device, and how the device proved that it may use it. */
export interface Admission {
  readonly kind: EnrollmentKind;
  readonly enrollment: StoredEnrollment;
  readonly proof: 'symmetricKey' | 'x509' | 'tpm';
  readonly isDisabled: boolean;
}

export interface AuthenticationContext {
  readonly state: EmulatorState;
  readonly idScope: string;
  now(): number;
  /** The key that was sealed for a device's TPM, if it was challenged. */
  tpmKeys(registrationKey: string): readonly Buffer[];
}

/**
 * Finds the enrollment of a device: the individual one by registration id, else the group of the nearest certificate up
 * its chain, or whose derived key signed. The first entry decides; a disabled individual enrollment stops a member of a
 * group too, whatever its attestation.
 * @throws ServiceError 401
 */
export function admitDevice(
  registrationId: string,
  credentials: DeviceCredentials,
  context: AuthenticationContext,
): Admission {
  const proof = readProof(registrationId, credentials, context);
  const individual = context.state.individual.get(keyOf(registrationId));
  if (individual !== undefined) {
    const isDisabled = isDisabledEnrollment(individual);
    if (!proof.matches(individual) && !(isDisabled && proof.findGroup() !== undefined)) {
      throw new ServiceError(proof.refusal);
    }
    return { kind: individualKind, enrollment: individual, proof: proof.name(individual), isDisabled };
  }
  const group = proof.findGroup();
  if (group === undefined) {
    throw new ServiceError(proof.refusal);
  }
  return {
    kind: groupKind,
    enrollment: group,
    proof: proof.name(group),
    isDisabled: isDisabledEnrollment(group),
  };
}

interface Proof {
  readonly refusal: ServiceErrorName;
  name(enrollment: StoredEnrollment): Admission['proof'];
  matches(individual: StoredEnrollment): boolean;
  findGroup(): StoredEnrollment | undefined;
}

function readProof(
  registrationId: string,
  credentials: DeviceCredentials,
  context: AuthenticationContext,
): Proof {
  if (credentials.authorization !== undefined) {
    return credentials.transport === 'http'
      ? sasProof(registrationId, credentials.authorization, context, 'unauthorizedDevice')
      : mqttSasProof(registrationId, credentials.authorization, context);
  }
  if (credentials.chain.length > 0) {
    return x509Proof(registrationId, credentials.chain, context);
  }
  throw new ServiceError('unauthorized');
}

/** Over MQTT a token needs no `skn` (the Python SDK sends none), a wrong signature is a 401000, and there is no TPM. */
function mqttSasProof(registrationId: string, password: string, context: AuthenticationContext): Proof {
  const hasKeyName = parseSas(password)?.keyName !== '';
  const authorization = hasKeyName ? password : `${password}&skn=${deviceKeyName}`;
  return sasProof(registrationId, authorization, { ...context, tpmKeys: () => [] }, 'unauthorized');
}

function sasProof(
  registrationId: string,
  authorization: string,
  context: AuthenticationContext,
  refusal: 'unauthorized' | 'unauthorizedDevice',
): Proof {
  const token = parseSas(authorization);
  const resource = `${context.idScope}/registrations/${registrationId}`.toLowerCase();
  if (token?.resource !== resource || token.keyName !== deviceKeyName || isExpired(token, context.now())) {
    throw new ServiceError('unauthorized');
  }
  return {
    refusal,
    name: ({ attestation }) => (attestation.type === 'tpm' ? 'tpm' : 'symmetricKey'),
    matches: ({ key, attestation }) => {
      if (attestation.type === 'tpm') {
        return context.tpmKeys(key).some((tpmKey) => isSignedWith(token, tpmKey));
      }
      return (
        attestation.type === 'symmetricKey' &&
        symmetricKeys(attestation).some((own) => isSignedWith(token, own))
      );
    },
    findGroup: () => findSymmetricGroup(registrationId, token, context.state),
  };
}

function findSymmetricGroup(
  registrationId: string,
  token: SasToken,
  state: EmulatorState,
): StoredEnrollment | undefined {
  for (const group of state.group.values()) {
    if (group.attestation.type !== 'symmetricKey') {
      continue;
    }
    const isSigned = symmetricKeys(group.attestation).some((groupKey) =>
      isSignedWith(token, deriveDeviceKey(groupKey, registrationId)),
    );
    if (isSigned) {
      return group;
    }
  }
  return undefined;
}

function symmetricKeys(attestation: { primaryKey: string; secondaryKey: string }): Buffer[] {
  return [attestation.primaryKey, attestation.secondaryKey].map((key) => Buffer.from(key, 'base64'));
}

function x509Proof(
  registrationId: string,
  presented: readonly ReadCertificate[],
  context: AuthenticationContext,
): Proof {
  const [leaf] = presented;
  const name = leaf?.subject.commonName;
  const isNamed = name !== undefined && name.length <= maxCommonName && keyOf(name) === keyOf(registrationId);
  if (leaf === undefined || !isNamed || !isValidAt(leaf, context.now())) {
    throw new ServiceError('invalidCertificate');
  }
  return {
    refusal: 'invalidCertificate',
    name: () => 'x509',
    matches: ({ attestation }) =>
      attestation.type === 'x509' && attestation.thumbprints.includes(leaf.sha256Thumbprint),
    findGroup: () => findX509Group(presented, context),
  };
}

/** Goes up the chain; the first certificate that is the authority of a group decides. */
function findX509Group(
  presented: readonly ReadCertificate[],
  context: AuthenticationContext,
): StoredEnrollment | undefined {
  const groups = [...context.state.group.values()].map((group) => ({
    group,
    anchors: anchorsOf(group, context.state),
  }));
  let current = presented[0];
  for (const next of [...presented.slice(1), undefined]) {
    if (current === undefined || !isValidAt(current, context.now())) {
      return undefined;
    }
    const child = current;
    // The service has taken signing certificates without any extension; only one that says that it is none is not one.
    const isIssuer = (anchor: ReadCertificate) =>
      anchor.authority !== 'no' && isValidAt(anchor, context.now()) && isIssuedBy(child, anchor);
    const found = groups.find(({ anchors }) => anchors.some(isIssuer));
    if (found !== undefined) {
      return found.group;
    }
    if (next?.authority !== 'yes' || !isIssuedBy(child, next)) {
      return undefined;
    }
    current = next;
  }
  return undefined;
}

const anchorCache = new Map<string, readonly ReadCertificate[]>();
const maxCachedAnchors = 1_000;

function anchorsOf({ attestation }: StoredEnrollment, state: EmulatorState): ReadCertificate[] {
  if (attestation.type === 'x509') {
    return attestation.signingCertificates.flatMap(parseDer);
  }
  if (attestation.type !== 'caReferences') {
    return [];
  }
  return attestation.names.flatMap((name) => {
    const der = Object.hasOwn(state.configuration.certificates, name)
      ? state.configuration.certificates[name]
      : undefined;
    return der === undefined ? [] : parseDer(der);
  });
}

/** None if it cannot be read, as one of a journal that another version has written may be. */
function parseDer(base64: string): readonly ReadCertificate[] {
  const known = anchorCache.get(base64);
  if (known !== undefined) {
    return known;
  }
  if (anchorCache.size >= maxCachedAnchors) {
    anchorCache.clear();
  }
  const certificate = readCertificateDer(Buffer.from(base64, 'base64'));
  const anchors = certificate === undefined ? [] : [certificate];
  anchorCache.set(base64, anchors);
  return anchors;
}

function isDisabledEnrollment(enrollment: StoredEnrollment): boolean {
  return JSON.parse(enrollment.text).provisioningStatus === 'disabled';
}
