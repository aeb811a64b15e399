/** What scaling out costs: the same mixed events with one, three and eight app instances, each in a process of its own. */
import { ServiceBusClient } from '@azure/service-bus';
import { issueCertificate } from '../../src/local/demo/demo-authority.ts';
import { Random } from '../support/random.ts';
import type { Report } from './figure.ts';
import { OutcomeCounter, Rig, sendInBatches } from './pipeline-load.ts';

const operationsPerMinute = 1_000;
const instances = [1, 3, 8];
const mixedEvents = 815;
const devices = 130;
const changedDevices = Number(process.env.DEVICES ?? 1_000);

export async function run(report: Report): Promise<void> {
  let alone = 0;
  for (const count of instances) {
    const { operations, seconds } = await mixedLoad(count);
    alone ||= operations;
    const name = `${count} ${count === 1 ? 'instance' : 'instances'}`;
    report({
      name: `DPS operations an event, ${name}`,
      value: operations / mixedEvents,
      unit: 'operations',
      goal: 'at most 0.7',
      met: operations / mixedEvents <= 0.7,
    });
    report({
      name: `DPS operations beside one instance, ${name}`,
      value: operations,
      unit: 'operations',
      baseline: alone,
      ratio: operations / alone,
      goal: 'ratio at most 1.1',
      met: operations / alone <= 1.1,
    });
    const ideal = (operations * 60) / operationsPerMinute;
    report({
      name: `all ended, beside operations / quota, ${name}`,
      value: seconds,
      unit: 's',
      baseline: ideal,
      ratio: seconds / ideal,
      goal: 'ratio at most 1.3',
      met: seconds / ideal <= 1.3,
    });
  }
  await changes(report);
}

/** 815 events of about 130 devices and batches, each delivered twice, in random order. */
async function mixedLoad(count: number): Promise<{ operations: number; seconds: number }> {
  const rig = await Rig.start();
  const client = new ServiceBusClient(rig.endpoints.serviceBus.connectionString);
  try {
    await rig.control('quota', 'PUT', { operationsPerMinute });
    const random = new Random(7);
    const events = Array.from({ length: mixedEvents }, (_, index) => mixedEvent(random, index));
    const counter = new OutcomeCounter(rig.endpoints.serviceBus.connectionString);
    await rig.startApps(count, { DPS_OPERATIONS_PER_MINUTE: String(operationsPerMinute) });
    const began = performance.now();
    await sendInBatches(client, random.shuffled([...events, ...events]));
    await counter.reached(mixedEvents, 400_000);
    const seconds = (performance.now() - began) / 1_000;
    await counter.close();
    return { operations: await operationsOf(rig), seconds };
  } finally {
    await client.close();
    await rig.close();
  }
}

function mixedEvent(random: Random, index: number): string {
  const device = random.below(devices);
  const isBatch = device < 10;
  const isMember = device >= 10 && device < 40;
  const product = isBatch || isMember ? 'beacon-b2' : 'thermostat-g2';
  const kinds = isBatch
    ? ['started', 'held', 'released']
    : ['manufactured', 'changed', 'held', 'released', 'returned'];
  const kind = random.pick(kinds);
  const isDefinition = ['started', 'manufactured', 'changed'].includes(kind);
  return JSON.stringify({
    specversion: '1.0',
    id: `mixed-${index}`,
    source: '/factories/bench',
    type: `${isBatch ? 'batch' : 'device'}.${kind}`,
    subject: `${isBatch ? 'batch' : isMember ? 'beacon' : 'thermostat'}-${device}`,
    time: new Date(Date.now() - random.below(3_600_000)).toISOString(),
    ...(isDefinition
      ? { data: { product, ...(isMember ? { batch: 'batch-0' } : isBatch ? {} : { tags: { index } }) } }
      : {}),
  });
}

interface ChangeFigure {
  readonly name: string;
  readonly product: 'gateway-w1' | 'thermostat-g2';
  /** Whether each device is changed alone first, so that its etag is known. */
  readonly etagKnown: boolean;
  readonly kind: 'changed' | 'held' | 'scrapped';
  readonly goal: number;
  /** Operations of a plain loop: GET, keys, change, PUT, and the registration state where the outcome tells it. */
  readonly plain: number;
}

const figures: readonly ChangeFigure[] = [
  {
    name: 'X.509 changed, etag known',
    product: 'gateway-w1',
    etagKnown: true,
    kind: 'changed',
    goal: 0.25,
    plain: 2,
  },
  {
    name: 'X.509 changed, etag unknown',
    product: 'gateway-w1',
    etagKnown: false,
    kind: 'changed',
    goal: 1.25,
    plain: 2,
  },
  {
    name: 'symmetric key changed, etag known',
    product: 'thermostat-g2',
    etagKnown: true,
    kind: 'changed',
    goal: 1.25,
    plain: 3,
  },
  {
    name: 'symmetric key changed, etag unknown',
    product: 'thermostat-g2',
    etagKnown: false,
    kind: 'changed',
    goal: 2.25,
    plain: 3,
  },
  {
    name: 'X.509 held, etag known',
    product: 'gateway-w1',
    etagKnown: true,
    kind: 'held',
    goal: 1.25,
    plain: 3,
  },
  {
    name: 'X.509 held, etag unknown',
    product: 'gateway-w1',
    etagKnown: false,
    kind: 'held',
    goal: 2.25,
    plain: 3,
  },
  {
    name: 'X.509 scrapped, beside its registration',
    product: 'gateway-w1',
    etagKnown: false,
    kind: 'scrapped',
    goal: 1.25,
    plain: 2,
  },
];

/** Known devices changed, without a quota: operations are counted, not time. */
async function changes(report: Report): Promise<void> {
  for (const figure of figures) {
    const operations = await operationsOfChanges(figure);
    report({
      name: `DPS operations a device, ${figure.name}`,
      value: operations,
      unit: 'operations',
      baseline: figure.plain,
      ratio: operations / figure.plain,
      goal: `at most ${figure.goal}`,
      met: operations <= figure.goal,
    });
  }
}

async function operationsOfChanges({ product, etagKnown, kind }: ChangeFigure): Promise<number> {
  const rig = await Rig.start();
  const client = new ServiceBusClient(rig.endpoints.serviceBus.connectionString);
  try {
    const counter = new OutcomeCounter(rig.endpoints.serviceBus.connectionString);
    await rig.startApps(1, { DPS_OPERATIONS_PER_MINUTE: '1000000' });
    const born = await Promise.all(
      Array.from({ length: changedDevices }, (_, index) => bornDevice(product, index)),
    );
    // One by one an enrollment is an operation of its own, whose answer tells its etag; in bulk it does not.
    const group = etagKnown ? 1 : born.length;
    for (let start = 0; start < born.length; start += group) {
      const some = born.slice(start, start + group);
      await sendInBatches(
        client,
        some.map((each) => JSON.stringify(each)),
      );
      await counter.reached(start + some.length, 300_000);
    }
    const before = await operationsOf(rig);
    const changed = born.map((each, index) => changedDevice(each, kind, index));
    await sendInBatches(client, changed);
    await counter.reached(2 * born.length, 300_000);
    const operations = (await operationsOf(rig)) - before;
    const registrations = kind === 'scrapped' ? born.length : 0;
    await counter.close();
    return (operations - registrations) / born.length;
  } finally {
    await client.close();
    await rig.close();
  }
}

async function bornDevice(product: string, index: number) {
  const subject = `${product.split('-')[0]}-${String(index).padStart(6, '0')}`;
  const x509 = product.startsWith('gateway')
    ? { attestation: { type: 'x509', certificate: (await issueCertificate(subject)).certificate } }
    : {};
  return {
    specversion: '1.0',
    id: `born-${index}`,
    source: '/factories/bench',
    type: 'device.manufactured',
    subject,
    time: new Date(Date.now() - 600_000).toISOString(),
    data: { product, tags: { at: 1 }, ...x509 },
  };
}

function changedDevice(born: Awaited<ReturnType<typeof bornDevice>>, kind: string, index: number): string {
  const { data, ...rest } = born;
  const changed = kind === 'changed' ? { data: { ...data, tags: { at: 2 } } } : {};
  const time = new Date(Date.now() - 60_000).toISOString();
  return JSON.stringify({ ...rest, ...changed, id: `${kind}-${index}`, type: `device.${kind}`, time });
}

async function operationsOf(rig: Rig): Promise<number> {
  return Object.values(await rig.answers()).reduce((sum, times) => sum + times, 0);
}
