/**
 * The audit's part of the quota, at DPS: at night, when the factory wakes, and while it wants everything. What is counted
 * are the registration states that the audit asks for, one an operation; the factory's events ask for none.
 */
import { ServiceBusClient } from '@azure/service-bus';
import type { Report } from './figure.ts';
import { Rig, sendInBatches } from './pipeline-load.ts';

const operationsPerMinute = 1_000;
const share = 0.3;
const enrollments = 4_000;
const secondOfTokens = Math.ceil(operationsPerMinute / 60);
const minuteInMs = 60_000;

export async function run(report: Report): Promise<void> {
  const rig = await Rig.start();
  const client = new ServiceBusClient(rig.endpoints.serviceBus.connectionString);
  try {
    await rig.control('seed', 'POST', { groups: 0, individualEnrollments: enrollments });
    await rig.control('quota', 'PUT', { operationsPerMinute });
    await rig.startApps(1, {
      DPS_OPERATIONS_PER_MINUTE: String(operationsPerMinute),
      AUDIT_QUOTA_SHARE: String(share),
    });
    await startAudit(rig);
    await until(async () => (await asked(rig)) > 0);
    // Of the first minute it had the burst, too.
    await pause(minuteInMs);
    const atNight = await askedWithin(rig, minuteInMs);
    report({
      name: "the audit's operations a minute while the factory is idle",
      value: atNight,
      unit: 'operations',
      goal: `at least ${operationsPerMinute * 0.95}`,
      met: atNight >= operationsPerMinute * 0.95,
    });
    await sendInBatches(client, changes());
    await until(async () => (await writes(rig)) > 0);
    const afterwards = await askedWithin(rig, minuteInMs / 2);
    report({
      name: "the audit's operations in the half minute after it wakes",
      value: afterwards,
      unit: 'operations',
      goal: `a second's: at most ${secondOfTokens}`,
      met: afterwards <= secondOfTokens,
    });
    await pause(minuteInMs / 2);
    const byDay = await askedWithin(rig, minuteInMs);
    report({
      name: "the audit's operations a minute while it wants everything",
      value: byDay,
      unit: 'operations',
      goal: `${operationsPerMinute * share * 0.9} to ${operationsPerMinute * share}`,
      met: byDay <= operationsPerMinute * share && byDay >= operationsPerMinute * share * 0.9,
    });
    const refused = (await rig.answers())['429'] ?? 0;
    report({
      name: 'calls that DPS throttled',
      value: refused,
      unit: 'calls',
      goal: 'none',
      met: refused === 0,
    });
  } finally {
    await client.close();
    await rig.close();
  }
}

/** Each has to be read, keys and all, before it is changed. */
function changes(): string[] {
  return Array.from({ length: enrollments }, (_, index) =>
    JSON.stringify({
      specversion: '1.0',
      id: `bench-${index}`,
      source: '/factories/bench',
      type: 'device.changed',
      subject: `seed-device-${index}`,
      time: new Date().toISOString(),
      data: { product: 'thermostat-g2', tags: { index } },
    }),
  );
}

async function startAudit({ apps, endpoints }: Rig): Promise<void> {
  await fetch(`${apps[0]?.url}/api/audit/runs`, {
    method: 'POST',
    headers: { 'x-functions-key': endpoints.keys.function },
  });
}

async function askedWithin(rig: Rig, inMs: number): Promise<number> {
  const before = await asked(rig);
  await pause(inMs);
  return (await asked(rig)) - before;
}

function asked(rig: Rig): Promise<number> {
  return rig.requestsSoFar(/^DeviceRegistrationState_Get/);
}

function writes(rig: Rig): Promise<number> {
  return rig.requestsSoFar(/^IndividualEnrollment_(GetAttestation|Bulk|CreateOrUpdate)/);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) {
    await pause(100);
  }
}

function pause(inMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, inMs));
}
