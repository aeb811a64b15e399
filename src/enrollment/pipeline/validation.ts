import { pemOf, readCertificateText } from '../../dps/certificate-reader.ts';
import {
  type AttestationData,
  type DefinitionData,
  isDefinitionKind,
  type ManufacturingEvent,
} from '../../events/manufacturing-event.ts';
import { dpsIdRule, isDpsId } from '../../events/read-event.ts';
import type { EventWarning, Rejection, RejectionReason } from '../../events/rejection.ts';
import { quoted } from '../../events/secret-texts.ts';
import type { EnrollmentProfile, EnrollmentProfiles } from '../ledger/profiles.ts';
import { validateAttestation } from './attestation-validation.ts';

export interface Validation {
  /** What is wrong with the event, the gravest first; empty if nothing is. */
  readonly rejections: readonly Rejection[];
  readonly warnings: readonly EventWarning[];
  /** The event as it is kept: with certificates alone where texts with certificates came. */
  readonly event: ManufacturingEvent;
}

/**
 * Validates an event by itself: its profile, its attestation, its certificates. What the device's other events say
 * is the registers' affair, so the result does not depend on order.
 */
export function validateEvent(
  given: ManufacturingEvent,
  profiles: EnrollmentProfiles,
  now: Date,
): Validation {
  const event = withCertificatesAlone(given);
  const warnings: EventWarning[] = [];
  if (isDefinitionKind(event.kind) && given.definition) {
    return {
      event,
      warnings,
      rejections: definitionProblems(given, given.definition, profiles, now, warnings),
    };
  }
  const isUnreadable = given.leafCertificate !== undefined && event.leafCertificate === undefined;
  return { event, warnings, rejections: isUnreadable ? [unreadableLeaf] : [] };
}

const unreadableLeaf: Rejection = {
  reason: 'invalid-attestation',
  pointer: '/data/attestation/certificate',
  detail: 'The certificate cannot be read. Send one X.509 certificate as PEM or base64 DER.',
};

/**
 * What stands around a certificate, a private key for one, goes no further than here; what is no certificate is dropped.
 * Held and scrapped devices are kept out with their leaf certificate whatever its dates: all that counts is that it reads.
 */
function withCertificatesAlone(event: ManufacturingEvent): ManufacturingEvent {
  const { leafCertificate, definition, ...rest } = event;
  const leaf = leafCertificate === undefined ? undefined : certificateAlone(leafCertificate);
  return {
    ...rest,
    ...(leaf === undefined ? {} : { leafCertificate: leaf }),
    ...(definition === undefined ? {} : { definition: cleanDefinition(definition) }),
  };
}

function cleanDefinition(definition: DefinitionData): DefinitionData {
  const { attestation } = definition;
  if (attestation?.type !== 'x509') {
    return definition;
  }
  const clean = Object.entries(attestation).flatMap(([name, text]) => {
    const kept = name.endsWith('ertificate') ? certificateAlone(text) : text;
    return kept === undefined ? [] : [[name, kept] as const];
  });
  return { ...definition, attestation: Object.fromEntries(clean) as unknown as AttestationData };
}

function certificateAlone(text: string): string | undefined {
  const certificate = readCertificateText(text);
  return typeof certificate === 'string' ? undefined : pemOf(certificate);
}

function definitionProblems(
  event: ManufacturingEvent,
  definition: DefinitionData,
  profiles: EnrollmentProfiles,
  now: Date,
  warnings: EventWarning[],
): Rejection[] {
  const profile = profiles.for(definition.product);
  if (!profile) {
    const detail = `No enrollment profile fits the product ${quoted(definition.product)}. Add one to the profiles file, or correct the product.`;
    return [reject('unknown-product', '/data/product', detail)];
  }
  const misplaced =
    event.subjectKind === 'batch' ? batchProblems(definition, profile) : deviceProblems(definition, profile);
  // What is no batch of a group has no attestation to speak of.
  const isNoGroup = misplaced.some(({ pointer }) => pointer === '/data/product');
  return isNoGroup
    ? misplaced
    : [...misplaced, ...validateAttestation(event, definition, profile, now, warnings)];
}

function batchProblems(definition: DefinitionData, profile: EnrollmentProfile): Rejection[] {
  const product = quoted(definition.product);
  if (profile.enrollment === 'individual') {
    const detail = `Devices of ${product} have individual enrollments, so there is no group to start. Send device.manufactured for each.`;
    return [reject('wrong-enrollment-kind', '/data/product', detail)];
  }
  if (profile.enrollmentGroup !== undefined) {
    const detail = `Devices of ${product} belong to the group ${profile.enrollmentGroup}, which is managed elsewhere.`;
    return [reject('group-not-per-batch', '/data/product', detail)];
  }
  return (['deviceId', 'deviceInformation'] as const)
    .filter((name) => definition[name] !== undefined)
    .map((name) => reject('not-per-device', `/data/${name}`, `An enrollment group has no ${name}.`));
}

function deviceProblems(definition: DefinitionData, profile: EnrollmentProfile): Rejection[] {
  if (profile.enrollment === 'individual') {
    return deviceIdProblems(definition);
  }
  const product = quoted(definition.product);
  const problems: Rejection[] = [];
  if (definition.batch !== undefined && !isDpsId(definition.batch)) {
    problems.push(reject('invalid-batch-id', '/data/batch', `The batch must have ${dpsIdRule}.`));
  }
  if (profile.enrollmentGroup === undefined && definition.batch === undefined) {
    const detail = `The batch is missing: devices of ${product} belong to one group for each batch.`;
    problems.push(reject('invalid-data', '/data/batch', detail));
  }
  for (const name of ['deviceId', 'tags', 'desired', 'deviceInformation'] as const) {
    if (definition[name] !== undefined) {
      const detail = `Devices of ${product} belong to an enrollment group, which has no ${name} for one device.`;
      problems.push(reject('not-per-device', `/data/${name}`, detail));
    }
  }
  return problems;
}

/** IoT Hub's rule of device ids. */
function deviceIdProblems({ deviceId }: DefinitionData): Rejection[] {
  if (deviceId === undefined || /^[A-Za-z0-9\-.%_*?!(),:=@$']{1,128}$/.test(deviceId)) {
    return [];
  }
  const detail =
    "The deviceId must have 1 to 128 characters, letters, digits and - . % _ * ? ! ( ) , : = @ $ '.";
  return [reject('invalid-data', '/data/deviceId', detail)];
}

function reject(reason: RejectionReason, pointer: string, detail: string): Rejection {
  return { reason, pointer, detail };
}
