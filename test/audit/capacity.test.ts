import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { dpsCapacity } from '../../src/audit/dps-capacity.ts';
import { makeCertificate } from '../dps-client/certificates.ts';
import type { AppInstance } from '../support/app-instance.ts';
import { audit, auditWithRepeats, switchOn } from '../support/audits.ts';
import { Chain } from '../support/chain.ts';
import { manufactured } from '../support/events.ts';

describe('what a DPS instance holds', () => {
  let chain: Chain;
  let app: AppInstance;
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    app = chain.startInstance();
  });
  afterAll(() => chain?.close());

  it('group-limit: 90 of 100 groups of a kind, counted once each', async () => {
    await chain.control('seed', 'POST', { groups: 89 });
    const { pem } = await makeCertificate({ name: 'CN=line', ca: true });
    await chain.dps.enrollmentGroups.createOrUpdate({
      enrollmentGroupId: 'x509-group',
      attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: pem } } } },
    });
    expect((await auditWithRepeats(app, 1)).findings).toEqual([]);
    await chain.control('seed', 'POST', { groups: 90 });
    const found = await audit(app);
    expect(found.findings).toMatchObject([
      { code: 'group-limit', severity: 'warning', subject: 'symmetric-key enrollment groups' },
    ]);
    expect(found.findings[0]?.detail).toContain('DPS has 90 of at most 100 symmetric-key enrollment groups');
    await chain.dps.enrollmentGroups.delete('seed-group-7');
    expect((await audit(app)).findings).toEqual([]);
  });

  it('quota-nearly-used: 90 % of the enrollments or registrations, by what was scanned', async () => {
    const ids = Array.from({ length: 9 }, (_, index) => `thermostat-${index}`);
    await chain.settle(...ids.map((id) => manufactured(id)));
    await switchOn(chain, 'thermostat-0');
    const small = { ...dpsCapacity, individualEnrollments: 10, registrations: 2 };
    const found = await auditWithRepeats(app, 4, small);
    expect(found.subjects('quota-nearly-used')).toEqual(['individual enrollments']);
    expect(found.detail('quota-nearly-used', 'individual enrollments')).toContain(
      'The audit met 9 individual enrollments, and a DPS instance holds 10.',
    );
    await switchOn(chain, 'thermostat-1');
    await chain.settle(manufactured('thermostat-new'));
    const more = await auditWithRepeats(app, 5, small);
    expect(more.subjects('quota-nearly-used')).toEqual(['individual enrollments', 'registrations']);
    expect((await audit(app)).subjects('quota-nearly-used')).toEqual([]);
  });
});
