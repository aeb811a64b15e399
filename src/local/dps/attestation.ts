import { randomFillSync } from 'node:crypto';
import { readTpmPublic } from '../../dps/tpm-public.ts';
import { certificateInfo, parseCertificate, type X509CertificateInfo } from './certificate-info.ts';
import type { EnrollmentKind } from './enrollment-kinds.ts';
import {
  invalid,
  isObject,
  type JsonObject,
  optionalEnum,
  optionalObject,
  optionalString,
  present,
  requiredString,
} from './json-input.ts';
import { generatedKeyBytes, maxKeyBytes, minKeyBytes } from './limits.ts';

/** What the emulator keeps of an attestation beside the text it shows: only what a device is checked against. */
export type StoredAttestation =
  | { readonly type: 'symmetricKey'; readonly primaryKey: string; readonly secondaryKey: string }
  | { readonly type: 'tpm'; readonly endorsementKey: string }
  | {
      readonly type: 'x509';
      readonly thumbprints: readonly string[];
      readonly signingCertificates: readonly string[];
    }
  | { readonly type: 'caReferences'; readonly names: readonly string[] };

export interface ReadAttestation {
  readonly stored: StoredAttestation;
  /** As GET and queries show it: symmetric keys left out, certificates as `info`. */
  readonly shown: JsonObject;
}

export interface AttestationContext {
  readonly kind: EnrollmentKind;
  /** The answer form of the enrollment that is replaced, if there is one: slots of `info` alone are taken from it. */
  readonly previous: { readonly stored: StoredAttestation; shown(): unknown } | undefined;
  isKnownCa(name: string): boolean;
}

const types = ['none', 'tpm', 'x509', 'symmetricKey'] as const;

/**
 * Reads and completes the `attestation` of an enrollment that is written.
 * @throws ServiceError `invalidArgument`
 */
export function readAttestation(enrollment: JsonObject, context: AttestationContext): ReadAttestation {
  const input = optionalObject(enrollment, 'attestation');
  if (input === undefined) {
    throw invalid('attestation', 'is required');
  }
  const type = optionalEnum(input, 'type', types);
  if (type === 'symmetricKey') {
    return readSymmetricKey(input);
  }
  if (type === 'tpm') {
    return readTpm(input, context.kind);
  }
  if (type === 'x509') {
    return readX509(input, context);
  }
  throw invalid('attestation.type', 'must be tpm, x509 or symmetricKey');
}

/** The answer of the attestation mechanism operations and of PUT: with the keys. */
export function withKeys(stored: StoredAttestation, shown: JsonObject): JsonObject {
  if (stored.type !== 'symmetricKey') {
    return shown;
  }
  return {
    type: 'symmetricKey',
    symmetricKey: { primaryKey: stored.primaryKey, secondaryKey: stored.secondaryKey },
  };
}

export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** Random bytes are drawn for many keys at once: the call costs more than the bytes. */
const entropy = Buffer.alloc(generatedKeyBytes * 256);
let drawn = entropy.length;

function generateKey(): string {
  if (drawn === entropy.length) {
    randomFillSync(entropy);
    drawn = 0;
  }
  drawn += generatedKeyBytes;
  return entropy.toString('base64', drawn - generatedKeyBytes, drawn);
}

function readSymmetricKey(input: JsonObject): ReadAttestation {
  const keys = optionalObject(input, 'symmetricKey') ?? {};
  const primaryKey = readKey(keys, 'primaryKey');
  const secondaryKey = readKey(keys, 'secondaryKey');
  if ((primaryKey === undefined) !== (secondaryKey === undefined)) {
    throw invalid('attestation.symmetricKey', 'must have both keys or none');
  }
  return {
    stored: {
      type: 'symmetricKey',
      primaryKey: primaryKey ?? generateKey(),
      secondaryKey: secondaryKey ?? generateKey(),
    },
    shown: { type: 'symmetricKey' },
  };
}

function readKey(keys: JsonObject, member: string): string | undefined {
  const key = present(keys[member]);
  if (key === undefined) {
    return undefined;
  }
  const bytes = typeof key === 'string' ? decodeBase64(key)?.length : undefined;
  if (typeof key !== 'string' || bytes === undefined) {
    throw invalid(member, 'must be base64');
  }
  if (bytes < minKeyBytes || bytes > maxKeyBytes) {
    throw invalid(member, `must have ${minKeyBytes} to ${maxKeyBytes} bytes`);
  }
  return key;
}

function readTpm(input: JsonObject, kind: EnrollmentKind): ReadAttestation {
  if (kind.name === 'group') {
    throw invalid('attestation.type', 'cannot be tpm for an enrollment group');
  }
  const tpm = optionalObject(input, 'tpm');
  if (tpm === undefined) {
    throw invalid('attestation.tpm', 'is required');
  }
  const endorsementKey = requiredString(tpm, 'endorsementKey');
  const storageRootKey = optionalString(tpm, 'storageRootKey');
  if (!readTpmPublic(endorsementKey)) {
    throw invalid('endorsementKey', 'must be base64 of a TPM2B_PUBLIC of an RSA or ECC key');
  }
  if (storageRootKey !== undefined && !decodeBase64(storageRootKey)) {
    throw invalid('storageRootKey', 'must be base64');
  }
  return {
    stored: { type: 'tpm', endorsementKey },
    shown: { type: 'tpm', tpm: { endorsementKey, storageRootKey } },
  };
}

function readX509(input: JsonObject, context: AttestationContext): ReadAttestation {
  const x509 = optionalObject(input, 'x509');
  if (x509 === undefined) {
    throw invalid('attestation.x509', 'is required');
  }
  const given = ['clientCertificates', 'signingCertificates', 'caReferences'].filter(
    (member) => present(x509[member]) !== undefined,
  );
  const allowed =
    context.kind.name === 'group' ? ['signingCertificates', 'caReferences'] : ['clientCertificates'];
  const [member] = given;
  if (member === undefined || given.length > 1 || !allowed.includes(member)) {
    throw invalid('attestation.x509', `must have ${allowed.join(' or ')}, and nothing else`);
  }
  const slots = optionalObject(x509, member) ?? {};
  return member === 'caReferences'
    ? readCaReferences(slots, context)
    : readCertificates(member, slots, context);
}

function readCaReferences(slots: JsonObject, context: AttestationContext): ReadAttestation {
  const primary = optionalString(slots, 'primary');
  const secondary = optionalString(slots, 'secondary');
  const names = [primary, secondary].filter((name) => name !== undefined);
  if (names.length === 0) {
    throw invalid('caReferences', 'must name a certificate');
  }
  const unknown = names.find((name) => !context.isKnownCa(name));
  if (unknown !== undefined) {
    throw invalid('caReferences', 'names a certificate that was not uploaded');
  }
  return {
    stored: { type: 'caReferences', names },
    shown: { type: 'x509', x509: { caReferences: { primary, secondary } } },
  };
}

interface Slot {
  readonly info: JsonObject | X509CertificateInfo;
  readonly thumbprint: string;
  /** DER in base64, kept of signing certificates. */
  readonly der: string | undefined;
}

function readCertificates(member: string, slots: JsonObject, context: AttestationContext): ReadAttestation {
  const primary = readSlot(member, slots, 'primary', context);
  const secondary = readSlot(member, slots, 'secondary', context);
  const filled = [primary, secondary].filter((slot) => slot !== undefined);
  if (filled.length === 0) {
    throw invalid(member, 'must have a certificate');
  }
  return {
    stored: {
      type: 'x509',
      thumbprints: filled.map((slot) => slot.thumbprint),
      signingCertificates: filled.flatMap((slot) => slot.der ?? []),
    },
    shown: {
      type: 'x509',
      x509: {
        [member]: {
          primary: primary === undefined ? null : { info: primary.info },
          secondary: secondary === undefined ? undefined : { info: secondary.info },
        },
      },
    },
  };
}

function readSlot(
  member: string,
  slots: JsonObject,
  name: string,
  context: AttestationContext,
): Slot | undefined {
  const slot = optionalObject(slots, name);
  if (slot === undefined) {
    return undefined;
  }
  const text = optionalString(slot, 'certificate');
  if (text === undefined) {
    return keptSlot(member, slot, context);
  }
  const certificate = parseCertificate(text);
  const isSigning = member === 'signingCertificates';
  // The service was seen to take one without any extension.
  if (isSigning && certificate.authority === 'no') {
    throw invalid(member, 'must be certificates of an authority (CA)');
  }
  return {
    info: certificateInfo(certificate),
    thumbprint: certificate.sha256Thumbprint,
    der: isSigning ? Buffer.from(certificate.der).toString('base64') : undefined,
  };
}

/** Clients that change an enrollment send back the `info` of a GET: the certificate it speaks of stays. */
function keptSlot(member: string, slot: JsonObject, { previous }: AttestationContext): Slot {
  const thumbprint = optionalObject(slot, 'info')?.sha256Thumbprint;
  const index =
    previous?.stored.type === 'x509' ? previous.stored.thumbprints.indexOf(String(thumbprint)) : -1;
  const info = index < 0 ? undefined : findInfo(previous?.shown(), member, thumbprint);
  if (previous?.stored.type !== 'x509' || info === undefined) {
    throw invalid(member, 'must have a certificate in each slot, or the info of one that is there already');
  }
  return { info, thumbprint: String(thumbprint), der: previous.stored.signingCertificates[index] };
}

function findInfo(shown: unknown, member: string, thumbprint: unknown): JsonObject | undefined {
  if (!isObject(shown)) {
    return undefined;
  }
  const slots = optionalObject(optionalObject(shown, 'x509') ?? {}, member) ?? {};
  return ['primary', 'secondary']
    .map((name) => optionalObject(optionalObject(slots, name) ?? {}, 'info'))
    .find((info) => info?.sha256Thumbprint === thumbprint);
}
