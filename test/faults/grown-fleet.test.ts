import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Unit } from '../../src/audit/audit-plan.ts';
import type { AuditRun } from '../../src/audit/audit-run.ts';
import type { AppInstance } from '../support/app-instance.ts';
import { audit, numbered, phasesOf, workThrough } from '../support/audits.ts';
import { Chain } from '../support/chain.ts';

const groups = 2;
const registrationsPerGroup = 550;
const registrations = groups * registrationsPerGroup;

let chain: Chain;
let app: AppInstance;

beforeAll(async () => {
  chain = await Chain.start({ apps: 0 });
  await chain.control('seed', 'POST', { groups, registrationsPerGroup, individualEnrollments: 0 });
  app = chain.startInstance();
}, 120_000);

afterAll(() => chain.close(), 60_000);

/** Takes a run to its report by hand; every seventh step is made twice, as if it had been stopped before it was saved. */
async function runThrough(before: (unit: Unit, step: number) => Promise<unknown>): Promise<AuditRun> {
  const phases = phasesOf(app);
  let steps = 0;
  return workThrough(numbered(1, app.services.clock.now()), async (run, unit) => {
    await before(unit, steps);
    if (steps++ % 7 === 3) {
      await phases.step(run, unit);
    }
    return phases.step(run, unit);
  });
}

/** The next listing of registrations has its first page; then DPS does not go on with it. */
function refuseToGoOn(): Promise<Response> {
  const operation = 'DeviceRegistrationState_Query';
  return chain.control('faults', 'PUT', [
    { operation, latencyMs: 0, count: 1 },
    { operation, status: 400, count: 1 },
  ]);
}

async function operations(): Promise<number> {
  const { requests } = await chain.stats();
  return Object.entries(requests)
    .filter(([name]) => !name.startsWith('Runtime'))
    .reduce((sum, [, statuses]) => sum + Object.values(statuses).reduce((all, count) => all + count, 0), 0);
}

describe('the audit of a DPS of which nothing is known', () => {
  it('costs its pages and a bounded number of confirmations, and says it in one row', async () => {
    const before = await operations();
    const audited = await audit(app, 240_000);
    const spent = (await operations()) - before;
    const pages = registrations / 100 + 2 + groups;
    expect(spent).toBeLessThanOrEqual(pages + 500);
    expect(audited.run.operations).toBe(spent);
    expect(audited.run.scanned.groupRegistrations).toBe(registrations);
    expect(audited.run.counts?.byCode).toEqual({ 'registered-but-unknown': registrations });
    expect(audited.findings).toEqual([
      expect.objectContaining({
        severity: 'critical',
        code: 'registered-but-unknown',
        count: registrations,
        example: expect.stringMatching(/^seed-/),
        list: '/api/devices?finding=registered-but-unknown',
      }),
    ]);
  }, 300_000);

  it('counts exactly, though DPS refuses continuations in mid-listing and pages are read twice', async () => {
    let refused = 0;
    const run = await runThrough(async ({ checkpoint }) =>
      checkpoint.phase === 'registrations' && refused++ < 3 ? refuseToGoOn() : undefined,
    );
    expect(refused).toBeGreaterThan(3);
    expect(run.scanned.groupRegistrations).toBe(registrations);
    expect(run.states.assigned).toBe(registrations);
    expect(run.tallies['registered-but-unknown']?.critical).toBe(registrations);
  }, 240_000);

  it('ends, and says why, where DPS refuses every continuation', async () => {
    const refused = runThrough(async ({ checkpoint }) =>
      checkpoint.phase === 'registrations' ? refuseToGoOn() : undefined,
    );
    await expect(refused).rejects.toThrow(/refused to go on with a listing \(registrations\) 5 times/);
    await chain.control('faults', 'PUT', []);
  }, 240_000);
});
