import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Chain, eventually } from '../support/chain.ts';
import { memoryOf } from '../support/process-memory.ts';

const groups = 10;
const registrationsPerGroup = 10_000;
const registrations = groups * registrationsPerGroup;
const mostMegabytes = 256;

interface RunDocument {
  readonly id: string;
  readonly status: string;
  readonly operations: number;
  readonly scanned: Readonly<Record<string, number>>;
  readonly states: Readonly<Record<string, number>>;
  readonly counts: { readonly byCode: Readonly<Record<string, number>> };
}

let chain: Chain;

beforeAll(async () => {
  // Node puts off collecting garbage where it has the memory: what is needed would not be seen.
  const env = { NODE_OPTIONS: '--max-old-space-size=192', DPS_OPERATIONS_PER_MINUTE: '1000000' };
  chain = await Chain.start({ apps: 1, env });
  await chain.control('seed', 'POST', { groups, registrationsPerGroup, individualEnrollments: 0 });
}, 120_000);

afterAll(() => chain?.close(), 60_000);

describe(`an audit of ${registrations.toLocaleString('en')} registrations`, () => {
  it('counts exactly in little memory, though a continuation is refused and the app is stopped in the midst of it', async () => {
    await chain.control('faults', 'PUT', [
      { operation: 'DeviceRegistrationState_Query', latencyMs: 0, count: 150 },
      { operation: 'DeviceRegistrationState_Query', status: 400, count: 1 },
      { operation: 'DeviceRegistrationState_Query', latencyMs: 5 },
    ]);
    const answer = await chain.request('/api/audit/runs', { method: 'POST' });
    const { id } = (await answer.json()) as { id: string };
    await eventually(async () => (await read(id)).scanned.groupRegistrations !== 0, 'records are counted');
    await chain.killApp();
    const app = await chain.startApp();
    const idle = memoryOf(app.child).now;
    // What the app had taken that was stopped comes again when its locks are over.
    chain.advance(6 * 60_000);
    const run = await eventually(
      async () => {
        const found = await read(id);
        return found.status !== 'running' && found;
      },
      'the run ends',
      120_000,
    );
    expect(run.status).toBe('finished');
    expect(run.scanned.groupRegistrations).toBe(registrations);
    expect(run.states.assigned).toBe(registrations);
    expect(run.counts.byCode).toEqual({ 'registered-but-unknown': registrations });
    expect(memoryOf(app.child).peak - idle).toBeLessThan(mostMegabytes);
  }, 180_000);
});

async function read(id: string): Promise<RunDocument> {
  return chain.json<RunDocument>(`/api/audit/runs/${id}`, { headers: { accept: 'application/json' } });
}
