import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSameJson, isStoredAs } from '../../src/dps/enrollment-equality.ts';
import type { EnrollmentGroup, IndividualEnrollment } from '../../src/dps/models.ts';
import { endorsementKeyOf } from '../support/endorsement-key.ts';
import { makeCertificate } from './certificates.ts';
import { useEmulator } from './emulator.ts';

const emulator = useEmulator();

const twin = fc.dictionary(
  fc.stringMatching(/^[a-z]{1,8}$/),
  fc.oneof(
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.stringMatching(/^[a-z]*$/),
    fc.array(fc.integer()),
  ),
  { maxKeys: 5 },
);

const members = fc.record(
  {
    deviceId: fc.constantFrom('dev-1', 'other'),
    provisioningStatus: fc.constantFrom('enabled' as const, 'disabled' as const),
    capabilities: fc.record({ iotEdge: fc.boolean() }),
    reprovisionPolicy: fc.record({ updateHubAssignment: fc.boolean(), migrateDeviceData: fc.boolean() }),
    allocationPolicy: fc.constantFrom('hashed' as const, 'geoLatency' as const),
    iotHubs: fc.constant(['hub.azure-devices.net']),
    initialTwin: fc.record({ tags: twin, properties: fc.record({ desired: twin }) }, { requiredKeys: [] }),
    optionalDeviceInformation: twin,
  },
  { requiredKeys: [] },
) as fc.Arbitrary<Partial<IndividualEnrollment>>;

describe('An enrollment as it is stored', () => {
  it('is recognised as what was sent, whatever was sent', async () => {
    await using client = emulator.current.client();
    await fc.assert(
      fc.asyncProperty(members, async (given) => {
        const sent: IndividualEnrollment = {
          registrationId: 'dev-1',
          attestation: { type: 'tpm', tpm: { endorsementKey: endorsementKeyOf(1) } },
          ...given,
        };
        await client.individualEnrollments.createOrUpdate(sent);
        const stored = await client.individualEnrollments.get('dev-1');
        await client.individualEnrollments.delete('dev-1');
        expect(isStoredAs(sent, stored)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it('is not what was sent if any member differs', () => {
    fc.assert(
      fc.property(members, members, (given, other) => {
        const attestation = { type: 'none' as const };
        const sent: IndividualEnrollment = { registrationId: 'dev-1', attestation, ...given };
        const stored: IndividualEnrollment = { registrationId: 'dev-1', attestation, ...other };
        const meaning = (value: typeof given) => ({
          deviceId: 'dev-1',
          provisioningStatus: 'enabled',
          capabilities: { iotEdge: false },
          reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: true },
          ...value,
        });
        expect(isStoredAs(sent, stored)).toBe(isSameJson(meaning(given), meaning(other)));
      }),
    );
  });

  it('is told apart by certificate', async () => {
    await using client = emulator.current.client();
    const one = await makeCertificate({ name: 'CN=one', ca: true });
    const two = await makeCertificate({ name: 'CN=two', ca: true });
    const group = (primary: string, secondary?: string): EnrollmentGroup => ({
      enrollmentGroupId: 'g',
      attestation: {
        type: 'x509',
        x509: {
          signingCertificates: {
            primary: { certificate: primary },
            ...(secondary !== undefined && { secondary: { certificate: secondary } }),
          },
        },
      },
    });
    const stored = await client.enrollmentGroups.createOrUpdate(group(one.pem));
    expect(isStoredAs(group(one.pem), stored)).toBe(true);
    expect(isStoredAs(stored, stored)).toBe(true);
    expect(isStoredAs(group(two.pem), stored)).toBe(false);
    expect(isStoredAs(group(one.pem, two.pem), stored)).toBe(false);
    expect(isStoredAs(group('not a certificate'), stored)).toBe(false);
    const referring = { type: 'x509' as const, x509: { caReferences: { primary: 'root' } } };
    expect(isStoredAs({ ...stored, attestation: referring }, stored)).toBe(false);
  });
});
