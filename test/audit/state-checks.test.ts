import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Unit } from '../../src/audit/audit-plan.ts';
import type { AuditRun } from '../../src/audit/audit-run.ts';
import { dpsCapacity } from '../../src/audit/dps-capacity.ts';
import type { Snapshot } from '../../src/audit/registration-snapshot.ts';
import { checksFor } from '../../src/audit/state-checks.ts';
import type { AppInstance } from '../support/app-instance.ts';
import { numbered, phasesOf, workThrough } from '../support/audits.ts';
import { Chain } from '../support/chain.ts';
import { requestsSoFar } from '../support/queue.ts';

const started = '2026-11-26T04:00:00.000Z';

function row(id: string, checkedAt: string | undefined, status: string | undefined, lastUpdated?: string) {
  return { id, checkedAt, status, lastUpdated } as Snapshot;
}

describe('the order in which registration states are asked for', () => {
  it('has each that this run has not asked for, once', () => {
    const time = fc.option(fc.constantFrom('2026-11-25', '2026-11-26T03:59', started, '2026-11-26T05:00'), {
      nil: undefined,
    });
    const rows = fc.uniqueArray(fc.record({ id: fc.uuid(), checkedAt: time, assigned: fc.boolean() }), {
      selector: ({ id }) => id,
    });
    fc.assert(
      fc.property(rows, (all) => {
        const snapshots = all.map(({ id, checkedAt, assigned }) =>
          row(id, checkedAt, assigned ? 'assigned' : undefined),
        );
        const due = all.filter(({ checkedAt }) => checkedAt === undefined || checkedAt < started);
        const chosen = checksFor(snapshots, started).map(({ id }) => id);
        expect([...chosen].sort()).toEqual(due.map(({ id }) => id).sort());
      }),
    );
  });

  it('takes turns between the newest that never came and what was asked for longest ago', () => {
    const rows = [
      row('old', '2026-11-01', 'assigned'),
      row('older', '2026-10-01', 'assigned'),
      row('new', '2026-11-25', 'unassigned', '2026-11-25'),
      row('newest', '2026-11-25', 'unassigned', '2026-11-26'),
    ];
    expect(checksFor(rows, started).map(({ id }) => id)).toEqual(['newest', 'older', 'new', 'old']);
  });
});

describe('an audit of many individual enrollments', () => {
  let chain: Chain;
  let app: AppInstance;
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    app = chain.startInstance();
    await chain.control('seed', 'POST', { groups: 0, individualEnrollments: 700 });
  });
  afterAll(() => chain?.close());

  const perStep = 10;
  let steps = 0;
  const asked = () => requestsSoFar(chain, /^DeviceRegistrationState_Get/);

  it('asks for each state once, so many a step, and for none when its time is over', async () => {
    const run = await workThrough(
      numbered(1, chain.clock.now()),
      (read, unit) => phasesOf(app).step(read, unit),
      'states',
    );
    const done = await throughStates(run, async (again) => {
      // As if it had been stopped before its checkpoint was saved.
      await again();
    });
    // Each was made twice.
    expect(steps).toBeGreaterThanOrEqual(700 / perStep / 2);
    expect(done.scanned.individualStates).toBe(700);
    expect(done.states.unassigned).toBe(700);
    expect(await asked()).toBe(700);
    expect(done.oldestState).toBeDefined();

    chain.advance(21 * 3_600_000);
    const late = await throughStates(run, async () => {});
    expect(await asked()).toBe(700);
    expect(late.scanned.individualStates).toBe(700);
  }, 120_000);

  async function throughStates(from: AuditRun, before: (again: () => Promise<Unit>) => Promise<void>) {
    const phases = phasesOf(app, dpsCapacity, perStep);
    steps = 0;
    return workThrough(
      from,
      async (run, unit) => {
        const step = () => phases.step(run, unit);
        if (unit.checkpoint.phase === 'states') {
          await before(step);
          steps++;
        }
        return step();
      },
      'devices',
    );
  }
});
