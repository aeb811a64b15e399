/** Memory of the app over many events: it must not grow with what it has seen. `BENCH_MEMORY_EVENTS=n` for fewer. */
import { ServiceBusClient } from '@azure/service-bus';
import { memoryOf } from '../support/process-memory.ts';
import type { Report } from './figure.ts';
import { newDevices, OutcomeCounter, Rig, sendInBatches } from './pipeline-load.ts';

const events = Number(process.env.BENCH_MEMORY_EVENTS ?? 200_000);
const parts = 20;
const growthAllowed = 1.25;

export async function run(report: Report): Promise<void> {
  const rig = await Rig.start();
  const client = new ServiceBusClient(rig.endpoints.serviceBus.connectionString);
  try {
    await rig.startApps(1, { DPS_OPERATIONS_PER_MINUTE: '100000000' });
    const counter = new OutcomeCounter(rig.endpoints.serviceBus.connectionString);
    const megabytes: number[] = [];
    for (let part = 1; part <= parts; part++) {
      await sendInBatches(client, newDevices(events / parts));
      await counter.reached((events / parts) * part, 3_600_000);
      megabytes.push(memoryOf({ pid: rig.apps[0]?.child.pid }).now);
    }
    await counter.close();
    const half = megabytes.slice(0, parts / 2);
    const [early, late] = [Math.max(...half), Math.max(...megabytes.slice(parts / 2))];
    report({
      name: `resident memory of the app in the second half of ${events} events, beside the first`,
      value: late,
      unit: 'MB',
      baseline: early,
      ratio: late / early,
      goal: `at most ${growthAllowed} times`,
      met: late <= early * growthAllowed,
    });
  } finally {
    await client.close();
    await rig.close();
  }
}
