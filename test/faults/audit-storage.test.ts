import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { AppInstance } from '../support/app-instance.ts';
import { Audited, audit } from '../support/audits.ts';
import { Chain, eventually } from '../support/chain.ts';
import { event, manufactured } from '../support/events.ts';
import { FaultyProxy } from '../support/proxy.ts';
import { Random } from '../support/random.ts';

const registrationsPerGroup = 450;
const oneOf = 60;

describe('an audit whose tables fail', () => {
  let chain: Chain;
  let calm: AppInstance;
  let proxy: FaultyProxy;
  const random = new Random(20_261_127);
  let isOn = false;
  let cuts = 0;
  let refusals = 0;

  beforeAll(async () => {
    chain = await Chain.start({ apps: 0, env: { DPS_OPERATIONS_PER_MINUTE: '1000000' } });
    const { connectionString } = chain.stack.endpoints.tables;
    const target = /TableEndpoint=(http:\/\/[^/]+)/.exec(connectionString)?.[1] ?? '';
    proxy = await FaultyProxy.start({
      target,
      fate: () => {
        const fate = isOn ? random.below(oneOf) : 2;
        cuts += fate < 2 ? 1 : 0;
        return fate === 0 ? 'cut-before' : fate === 1 ? 'cut-after' : 'pass';
      },
      answer: () => {
        const isRefused = isOn && random.below(oneOf) === 0;
        refusals += isRefused ? 1 : 0;
        return isRefused ? { status: 503, body: '' } : undefined;
      },
    });
    calm = chain.startInstance();
    await chain.control('seed', 'POST', { groups: 4, registrationsPerGroup, individualEnrollments: 60 });
    await chain.settle(
      event('batch.started', 'beacons', { product: 'beacon-b' }, { minutesAgo: 30 }),
      ...Array.from({ length: 30 }, (_, index) =>
        manufactured(`thermostat-${index}`, {}, { minutesAgo: 20 }),
      ),
      manufactured('beacon-lost', { product: 'beacon-b', batch: 'never-started' }, { minutesAgo: 20 }),
    );
    await chain.dps.individualEnrollments.delete('thermostat-7');
  }, 60_000);
  afterAll(async () => {
    await chain?.close();
    await proxy?.close();
  }, 60_000);

  it('goes on from where it stood, and counts and finds what an undisturbed one does', async () => {
    const undisturbed = shown(await audit(calm));
    await calm.close();
    chain.instances.splice(chain.instances.indexOf(calm), 1);
    const tables = chain.stack.endpoints.tables.connectionString.replace(
      /(TableEndpoint=)http:\/\/[^/]+/,
      `$1${proxy.url}`,
    );
    const app = chain.startInstance({ env: { TableStorage: tables } });
    isOn = true;
    const { id } = await eventually(
      async () => app.services.auditRunner.start().catch(() => undefined),
      'a run begins',
    );
    const run = await eventually(
      async () => {
        // Who was refused waits for a minute, and for the lock of a message that was lost.
        chain.advance(20_000);
        const read = await app.services.auditStore.read(id).catch(() => undefined);
        return read !== undefined && read.status !== 'running' && read;
      },
      'the run ends',
      60_000,
    );
    isOn = false;
    expect(run.status).toBe('finished');
    const findings = await app.services.findings.findingsOf(run);
    expect(shown(new Audited(run, findings))).toEqual(undisturbed);
    expect(cuts).toBeGreaterThan(3);
    expect(refusals).toBeGreaterThan(3);
    expect(app.thrown).toEqual([]);
  }, 180_000);

  function shown({ run, findings }: Audited) {
    return {
      scanned: run.scanned,
      states: run.states,
      byCode: run.counts?.byCode,
      findings: findings.map(({ code, subject }) => `${code} ${subject}`),
    };
  }
});
