/** The quota used to the full: 20,000 new devices at 1,000 operations a minute, with one app instance and with three. */
import { ServiceBusClient } from '@azure/service-bus';
import { DeviceProvisioningClient } from '../../src/dps/client.ts';
import { ThrottledError } from '../../src/dps/errors.ts';
import type { Report } from './figure.ts';
import { newDevices, OutcomeCounter, pause, Rig, sendInBatches } from './pipeline-load.ts';

const events = 20_000;
const operationsPerMinute = 1_000;
const goalPerMinute = 9_500;

export async function run(report: Report): Promise<void> {
  const plain = await plainLoopPerMinute();
  for (const instances of [1, 3]) {
    const { perMinute, throttledShare, deadLetters } = await withInstances(instances);
    const name = `${instances} app ${instances === 1 ? 'instance' : 'instances'}`;
    report({
      name: `devices created a minute at ${operationsPerMinute} operations, ${name}`,
      value: perMinute,
      unit: 'devices/min',
      baseline: plain,
      ratio: perMinute / plain,
      goal: `at least ${goalPerMinute} devices/min`,
      met: perMinute >= goalPerMinute,
    });
    report({
      name: `share of calls answered 429, ${name}`,
      value: throttledShare * 100,
      unit: '%',
      goal: 'under 1 %',
      met: throttledShare < 0.01,
    });
    report({
      name: `dead letters, ${name}`,
      value: deadLetters,
      unit: 'messages',
      goal: 'none',
      met: deadLetters === 0,
    });
  }
}

async function withInstances(instances: number) {
  const rig = await Rig.start();
  const client = new ServiceBusClient(rig.endpoints.serviceBus.connectionString);
  try {
    await rig.control('quota', 'PUT', { operationsPerMinute });
    await sendInBatches(client, newDevices(events));
    const counter = new OutcomeCounter(rig.endpoints.serviceBus.connectionString);
    await rig.startApps(instances, { DPS_OPERATIONS_PER_MINUTE: String(operationsPerMinute) });
    const perMinute = await steadyRate(counter);
    const answers = await rig.answers();
    const total = Object.values(answers).reduce((sum, times) => sum + times, 0);
    const deadLetters = await peekDeadLetters(client);
    await counter.close();
    return { perMinute, throttledShare: (answers['429'] ?? 0) / total, deadLetters };
  } finally {
    await client.close();
    await rig.close();
  }
}

/** From the first outcome to the last: whole minutes of the quota, the burst at the start and its pause included. */
async function steadyRate(counter: OutcomeCounter): Promise<number> {
  await counter.reached(1, 60_000);
  const began = performance.now();
  await counter.reached(events, 400_000);
  return (events * 60_000) / (performance.now() - began);
}

async function peekDeadLetters(client: ServiceBusClient): Promise<number> {
  const receiver = client.createReceiver('manufacturing-events', { subQueueType: 'deadLetter' });
  const found = await receiver.peekMessages(100);
  await receiver.close();
  return found.length;
}

/** What people write first: one PUT a message, again after a pause when DPS says 429. Measured for a minute. */
async function plainLoopPerMinute(): Promise<number> {
  const rig = await Rig.start();
  const dps = DeviceProvisioningClient.fromConnectionString(rig.endpoints.dps.connectionString, {
    retryOptions: { maxRetries: 0 },
  });
  try {
    await rig.control('quota', 'PUT', { operationsPerMinute });
    let created = 0;
    let next = 0;
    const until = performance.now() + 60_000;
    const worker = async () => {
      while (performance.now() < until) {
        const registrationId = `plain-${next++}`;
        try {
          await dps.individualEnrollments.createOrUpdate({
            registrationId,
            attestation: { type: 'symmetricKey' },
          });
          created++;
        } catch (error) {
          if (!(error instanceof ThrottledError)) {
            throw error;
          }
          await pause(Math.min(error.retryAfterInMs ?? 1_000, until - performance.now()));
        }
      }
    };
    await Promise.all(Array.from({ length: 16 }, worker));
    return created;
  } finally {
    await dps.close();
    await rig.close();
  }
}
