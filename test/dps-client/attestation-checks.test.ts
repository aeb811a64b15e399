import { describe, expect, it } from 'vitest';
import { checkAttestation } from '../../src/dps/attestation-checks.ts';
import { endorsementKeyOf } from '../support/endorsement-key.ts';
import { makeCertificate } from './certificates.ts';

const now = new Date();
const good = Buffer.alloc(32).toString('base64');

describe('An attestation', () => {
  it('by keys is good with good keys, or none', () => {
    expect(checkAttestation({ type: 'symmetricKey' }, { now })).toEqual([]);
    const symmetricKey = { primaryKey: good, secondaryKey: good };
    expect(checkAttestation({ type: 'symmetricKey', symmetricKey }, { now })).toEqual([]);
  });

  it('by keys tells which is not one, without repeating it', () => {
    const problems = checkAttestation(
      { type: 'symmetricKey', symmetricKey: { primaryKey: good, secondaryKey: 'c2hvcnQ=' } },
      { now },
    );
    expect(problems).toEqual([
      { code: 'bad-key', member: 'symmetricKey.secondaryKey', detail: expect.stringContaining('5 bytes') },
    ]);
    expect(JSON.stringify(problems)).not.toContain('c2hvcnQ=');
  });

  it('by TPM needs an endorsement key, and is not for groups', () => {
    const tpm = { endorsementKey: endorsementKeyOf(1) };
    expect(checkAttestation({ type: 'tpm', tpm }, { now, registrationId: 'dev-1' })).toEqual([]);
    expect(checkAttestation({ type: 'tpm', tpm }, { now })).toMatchObject([{ code: 'not-for-groups' }]);
    const bad = { endorsementKey: 'not base64!' };
    const problems = checkAttestation({ type: 'tpm', tpm: bad }, { now, registrationId: 'dev-1' });
    expect(problems).toMatchObject([{ code: 'bad-key', member: 'tpm.endorsementKey' }]);
  });

  it('by certificate is good if each is what its place asks for', async () => {
    const ca = { certificate: (await makeCertificate({ name: 'CN=factory', ca: true })).pem };
    const leaf = { certificate: (await makeCertificate({ name: 'CN=dev-1' })).pem };
    const individual = (primary: typeof leaf, secondary: typeof leaf) =>
      checkAttestation(
        { type: 'x509', x509: { clientCertificates: { primary, secondary } } },
        { now, registrationId: 'dev-1' },
      );
    const group = (primary: typeof leaf) =>
      checkAttestation({ type: 'x509', x509: { signingCertificates: { primary } } }, { now });
    expect(individual(leaf, leaf)).toEqual([]);
    expect(group(ca)).toEqual([]);
    expect(individual(leaf, ca)).toMatchObject([
      { code: 'name-mismatch', member: 'x509.clientCertificates.secondary' },
    ]);
    expect(group(leaf)).toMatchObject([{ code: 'not-a-ca', member: 'x509.signingCertificates.primary' }]);
  });

  it('of which the service told the description, or that refers to a CA, passes', () => {
    expect(
      checkAttestation({ type: 'x509', x509: { clientCertificates: { primary: {} } } }, { now }),
    ).toEqual([]);
    expect(checkAttestation({ type: 'x509', x509: { caReferences: { primary: 'root' } } }, { now })).toEqual(
      [],
    );
    expect(checkAttestation({ type: 'none' }, { now })).toEqual([]);
  });
});
