import type { EnrollmentGroup, IndividualEnrollment, X509CertificateInfo } from '../dps/models.ts';
import type { Finding } from './finding.ts';

const soonInMs = 30 * 24 * 3_600_000;

export type StoredEnrollment = IndividualEnrollment | EnrollmentGroup;

interface Slot {
  readonly name: 'primary' | 'secondary';
  readonly info: X509CertificateInfo;
}

/** The client or signing certificates that DPS holds. CA references are names: what they stand for it does not tell. */
export function certificateSlots({ attestation }: StoredEnrollment): Slot[] {
  const { clientCertificates, signingCertificates } = attestation.x509 ?? {};
  const certificates = clientCertificates ?? signingCertificates ?? {};
  return (['primary', 'secondary'] as const).flatMap((name) => {
    const info = certificates[name]?.info;
    return info === undefined ? [] : [{ name, info }];
  });
}

export function storedId(stored: StoredEnrollment): string {
  const id = 'registrationId' in stored ? stored.registrationId : stored.enrollmentGroupId;
  return id.toLowerCase();
}

/**
 * A warning where no certificate is good beyond the next 30 days; where the other one is, it is for information. What
 * lets nobody in, since it is disabled, needs no certificate that is in date.
 */
export function certificateFindings(stored: StoredEnrollment, now: Date): Finding[] {
  if (stored.provisioningStatus === 'disabled') {
    return [];
  }
  const slots = certificateSlots(stored);
  const expiry = ({ info }: Slot) => Date.parse(info.notAfterUtc) - now.getTime();
  const expired = slots.filter((slot) => expiry(slot) <= 0);
  const soon = slots.filter((slot) => expiry(slot) > 0 && expiry(slot) < soonInMs);
  const fine = slots.find((slot) => expiry(slot) >= soonInMs);
  const severity = fine ? 'info' : 'warning';
  const who = 'registrationId' in stored ? 'the device' : "the group's devices";
  const subject = storedId(stored);
  const findings: Finding[] = [];
  if (expired.length > 0) {
    const [working] = soon;
    const meaning = fine
      ? `The ${fine.name} one is good until ${dayOf(fine)}, and ${who} can register with that alone.`
      : working
        ? `Only the ${working.name} one still works, until ${dayOf(working)}.`
        : `No other one is there, so ${who} cannot register any more.`;
    findings.push({
      severity,
      code: 'certificate-expired',
      subject,
      detail: `Expired: ${listed(expired)}. ${meaning} ${nextStep(stored)}`,
    });
  }
  if (soon.length > 0) {
    const meaning = fine
      ? `The ${fine.name} one is good until ${dayOf(fine)}.`
      : `No other one lasts longer: after that ${who} cannot register.`;
    findings.push({
      severity,
      code: 'certificate-expires-soon',
      subject,
      detail: `Expires within 30 days: ${listed(soon)}. ${meaning} ${nextStep(stored)}`,
    });
  }
  return findings;
}

function listed(slots: readonly Slot[]): string {
  return slots
    .map(({ name, info }) => `the ${name} certificate (${info.subjectName}), on ${info.notAfterUtc}`)
    .join('; ');
}

function dayOf({ info }: Slot): string {
  return info.notAfterUtc.slice(0, 10);
}

function nextStep(stored: StoredEnrollment): string {
  return 'registrationId' in stored
    ? 'Send device.changed with the certificate that the device has, or will get.'
    : 'Send batch.started under a new id with the renewed signing certificate.';
}
