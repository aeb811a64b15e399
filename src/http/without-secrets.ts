import type { EnrollmentGroup, IndividualEnrollment } from '../dps/models.ts';

/** An enrollment as it may be shown: without keys, and without the query of a webhook's URL, which may hold one. */
export function withoutSecrets(enrollment: IndividualEnrollment | EnrollmentGroup): object {
  const { attestation, customAllocationDefinition, ...rest } = enrollment;
  const shown = { ...rest, attestation: { ...attestation, symmetricKey: undefined } };
  if (!customAllocationDefinition) {
    return shown;
  }
  const webhookUrl = customAllocationDefinition.webhookUrl
    .replace(/[?#].*$/, '')
    .replace(/\/\/[^/@]*@/, '//');
  return { ...shown, customAllocationDefinition: { ...customAllocationDefinition, webhookUrl } };
}
