/** The pipeline without a quota, at a DPS that takes 20 ms: throughput, latency and memory. */
import { ServiceBusClient } from '@azure/service-bus';
import { Table } from '../../src/storage/tables.ts';
import type { Report } from './figure.ts';
import { newDevices, OutcomeCounter, pause, Rig, sendInBatches } from './pipeline-load.ts';

const events = Number(process.env.BENCH_EVENTS ?? 5_000);
const noQuota = { DPS_OPERATIONS_PER_MINUTE: '100000000' };

export async function run(report: Report): Promise<void> {
  const rig = await Rig.start();
  const client = new ServiceBusClient(rig.endpoints.serviceBus.connectionString);
  try {
    await rig.control('faults', 'PUT', [{ operation: '*', latencyMs: 20 }]);
    const floor = await floorPerSecond(rig, client);
    await rig.startApps(1, noQuota);
    await throughput(rig, client, 500); // warms up
    const perSecond = await throughput(rig, client, events);
    report({
      name: 'events a second, end to end, beside bare sends, receives and writes',
      value: perSecond,
      unit: 'events/s',
      baseline: floor,
      ratio: perSecond / floor,
      goal: 'at least 0.5 of the floor',
      met: perSecond >= floor / 2,
    });
    const p99 = await latencyAt(rig, client, perSecond / 2);
    report({
      name: 'p99 from send to outcome at half of that load',
      value: p99,
      unit: 'ms',
      goal: 'at most 2000 ms',
      met: p99 <= 2_000,
    });
  } finally {
    await client.close();
    await rig.close();
  }
}

async function throughput(rig: Rig, client: ServiceBusClient, count: number): Promise<number> {
  const counter = new OutcomeCounter(rig.endpoints.serviceBus.connectionString);
  const began = performance.now();
  await sendInBatches(client, newDevices(count));
  await counter.reached(count, 600_000);
  const seconds = (performance.now() - began) / 1_000;
  await counter.close();
  return count / seconds;
}

async function latencyAt(rig: Rig, client: ServiceBusClient, perSecond: number): Promise<number> {
  const counter = new OutcomeCounter(rig.endpoints.serviceBus.connectionString);
  const sender = client.createSender('manufacturing-events');
  const sentAt = new Map<string, number>();
  const texts = newDevices(Math.ceil(perSecond * 15));
  const began = performance.now();
  const sending: Promise<void>[] = [];
  for (const [index, text] of texts.entries()) {
    const due = began + (index * 1_000) / perSecond;
    if (performance.now() < due) {
      await pause(due - performance.now());
    }
    sentAt.set(JSON.parse(text).id, performance.now());
    sending.push(
      sender.sendMessages({ body: Buffer.from(text), contentType: 'application/cloudevents+json' }),
    );
  }
  await Promise.all(sending);
  await counter.reached(texts.length, 120_000);
  await counter.close();
  await sender.close();
  const latencies = [...sentAt].map(
    ([id, sent]) => (counter.arrivedAt.get(id) ?? Number.POSITIVE_INFINITY) - sent,
  );
  latencies.sort((left, right) => left - right);
  return latencies[Math.floor(latencies.length * 0.99)] ?? 0;
}

/** The least that any pipeline does on these emulators: take a message, write twice, tell the outcome. */
async function floorPerSecond(rig: Rig, client: ServiceBusClient): Promise<number> {
  const table = new Table('benchfloor', { connectionString: rig.endpoints.tables.connectionString });
  await table.upsert('warm', 'up', {});
  const outcomes = client.createSender('enrollment-outcomes');
  const receiver = client.createReceiver('manufacturing-events');
  let done = 0;
  const began = performance.now();
  const subscription = receiver.subscribe(
    {
      processMessage: async (message) => {
        const partition = String(message.messageId);
        const values = { text: 'x'.repeat(500) };
        await table.transact(partition, [
          { kind: 'insert', rowKey: 'state', values },
          { kind: 'insert', rowKey: 'event', values },
        ]);
        await table.transact(partition, [
          { kind: 'upsert', rowKey: 'state', values },
          { kind: 'upsert', rowKey: 'event', values },
        ]);
        await outcomes.sendMessages({ body: { partition }, contentType: 'application/json' });
        done++;
      },
      processError: async () => {},
    },
    { maxConcurrentCalls: 100, autoCompleteMessages: true },
  );
  await sendInBatches(client, newDevices(events));
  while (done < events) {
    await pause(5);
  }
  const seconds = (performance.now() - began) / 1_000;
  await subscription.close();
  await receiver.close();
  await drain(client, events);
  return events / seconds;
}

async function drain(client: ServiceBusClient, count: number): Promise<void> {
  const receiver = client.createReceiver('enrollment-outcomes', 'all', { receiveMode: 'receiveAndDelete' });
  for (let left = count; left > 0; ) {
    const some = await receiver.receiveMessages(Math.min(left, 500), { maxWaitTimeInMs: 5_000 });
    if (some.length === 0) {
      break;
    }
    left -= some.length;
  }
  await receiver.close();
}
