import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { AttestationMechanism } from '../../src/dps/models.ts';
import { makeCertificate } from '../dps-client/certificates.ts';
import type { AppInstance } from '../support/app-instance.ts';
import { audit, auditWithRepeats } from '../support/audits.ts';
import { Chain } from '../support/chain.ts';
import { event, manufactured } from '../support/events.ts';

const day = 86_400_000;
const lasting = async (name: string, days: number, ca = false) =>
  (await makeCertificate({ name: `CN=${name}`, notAfter: new Date(Date.now() + days * day), ca })).pem;

describe('certificates that end', () => {
  let chain: Chain;
  let app: AppInstance;
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    app = chain.startInstance();
  });
  afterAll(() => chain?.close());

  const gateway = async (id: string, primary: number, secondary?: number) =>
    manufactured(id, {
      product: 'gateway-x',
      attestation: {
        type: 'x509',
        certificate: await lasting(id, primary),
        ...(secondary === undefined ? {} : { secondaryCertificate: await lasting(id, secondary) }),
      },
    });
  const batch = async (id: string, primary: number) =>
    event('batch.started', id, {
      product: 'sensor-s',
      attestation: { type: 'x509', signingCertificate: await lasting(id, primary, true) },
    });
  const told = ({ severity, subject }: { severity: string; subject: string }) => `${severity} ${subject}`;

  it('is a warning within 30 days, and for information where the other certificate lasts longer', async () => {
    await chain.settle(
      await gateway('gateway-fine', 60),
      await gateway('gateway-soon', 10),
      await gateway('gateway-both', 10, 20),
      await gateway('gateway-rolled', 10, 300),
      await gateway('gateway-held', 10),
      await batch('batch-fine', 60),
      await batch('batch-soon', 10),
      event('device.held', 'gateway-held', undefined, { minutesAgo: 1 }),
    );
    const found = await audit(app);
    const soon = found.of('certificate-expires-soon');
    // What is disabled lets nobody in, whatever the certificate.
    expect(soon.map(told)).toEqual([
      'warning batch-soon',
      'warning gateway-both',
      'warning gateway-soon',
      'info gateway-rolled',
    ]);
    expect(found.of('certificate-expired')).toEqual([]);
    expect(soon[1]?.detail).toMatch(/the primary certificate \(CN=gateway-both\), on .+; the secondary/);
    expect(soon[3]?.detail).toContain('The secondary one is good until');
    expect(soon[0]?.detail).toContain('Send batch.started');
  });

  it('says once they have ended who cannot register any more', async () => {
    chain.advance(11 * day);
    const found = await audit(app);
    const expired = found.of('certificate-expired');
    expect(expired.map(told)).toEqual([
      'warning batch-soon',
      'warning gateway-both',
      'warning gateway-soon',
      'info gateway-rolled',
    ]);
    expect(expired[0]?.detail).toContain("so the group's devices cannot register any more");
    expect(expired[1]?.detail).toContain('Only the secondary one still works');
    expect(expired[3]?.detail).toContain('the device can register with that alone');
    expect(found.of('certificate-expires-soon').map(told)).toEqual(['warning gateway-both']);
    const { product, attestation } = (await gateway('gateway-soon', 90)).data as Record<string, unknown>;
    await chain.settle(
      event('device.changed', 'gateway-soon', { product, attestation }, { minutesAgo: -11 * 24 * 60 + 1 }),
    );
    expect((await audit(app)).subjects('certificate-expired')).not.toContain('gateway-soon');
  });
});

describe('certificate-shared', () => {
  let chain: Chain;
  let app: AppInstance;
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    app = chain.startInstance();
  });
  afterAll(() => chain?.close());

  const client = (primary: string, secondary?: string): AttestationMechanism => ({
    type: 'x509',
    x509: {
      clientCertificates: {
        primary: { certificate: primary },
        ...(secondary === undefined ? {} : { secondary: { certificate: secondary } }),
      },
    },
  });
  const thumbprint = async (id: string) => {
    const { attestation } = await chain.dps.individualEnrollments.get(id);
    return attestation.x509?.clientCertificates?.primary?.info?.sha256Thumbprint ?? '';
  };

  it('finds the holders of one thumbprint over pages, and no enrollment that holds its own twice', async () => {
    const names = Array.from({ length: 250 }, (_, index) => `cam-${String(index).padStart(3, '0')}`);
    const [pair, many, own] = [
      await lasting('pair', 90),
      await lasting('many', 90),
      await lasting('own', 90),
    ];
    const created = await chain.dps.individualEnrollments.createMany(
      names.map((registrationId, index) => ({
        registrationId,
        attestation:
          index === 0
            ? client(own, own)
            : index === 1
              ? client(pair)
              : index === 249
                ? client(many, pair)
                : index % 20 === 0
                  ? client(many)
                  : { type: 'symmetricKey' },
      })),
    );
    expect(created.filter(({ succeeded }) => !succeeded)).toEqual([]);
    const signing = await lasting('line', 90, true);
    for (const enrollmentGroupId of ['line-1', 'line-2']) {
      await chain.dps.enrollmentGroups.createOrUpdate({
        enrollmentGroupId,
        attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: signing } } } },
      });
    }

    const found = await auditWithRepeats(app, 1);
    const shared = found.of('certificate-shared');
    expect(shared).toHaveLength(3);
    const details = shared.map(({ detail }) => detail).sort();
    expect(details[0]).toMatch(/^13 enrollments hold .+: (cam-\d+, ){9}cam-\d+, and 3 more\. /);
    expect(details[1]).toMatch(/^2 enrollments hold .+: cam-001, cam-249\. /);
    expect(details[2]).toMatch(/^2 enrollments hold .+: the group line-1, the group line-2\. /);
    expect(found.detail('certificate-shared', await thumbprint('cam-001'))).toBe(details[1]);
    expect(found.subjects('enrollment-unknown')).toEqual(names);
    // Pages that were read twice have found nothing else, and counted nothing twice.
    expect(found.run.scanned).toMatchObject({ enrollmentGroups: 2, individualEnrollments: 250 });
    const again = await audit(app);
    const known = ({ code, subject, detail, firstSeen }: (typeof again.findings)[number]) =>
      `${code} ${subject} ${detail} ${firstSeen}`;
    expect(again.findings.map(known)).toEqual(found.findings.map(known));
  });

  it('is gone with the second holder', async () => {
    await chain.dps.individualEnrollments.delete('cam-249');
    await chain.dps.enrollmentGroups.delete('line-2');
    const [rest, ...others] = (await audit(app)).of('certificate-shared');
    expect(others).toEqual([]);
    expect(rest?.detail).toMatch(/^12 enrollments hold /);
  });
});
