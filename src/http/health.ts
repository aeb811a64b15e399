import { setTimeout } from 'node:timers/promises';
import type { DeviceProvisioningClient } from '../dps/client.ts';
import { NotFoundError } from '../dps/errors.ts';
import type { ThrottledDps } from '../enrollment/dps-access/throttled-dps.ts';
import type { EventBus } from '../events/event-bus.ts';
import type { Table } from '../storage/tables.ts';
import type { Clock } from '../tools/clock.ts';
import { type HttpResponse, json } from './http-response.ts';

const withinMs = 5_000;

export interface HealthParts {
  readonly dps: DeviceProvisioningClient;
  readonly throttledDps: ThrottledDps;
  readonly clock: Clock;
  readonly bus: EventBus;
  readonly devices: Table;
}

interface Check {
  readonly ok: boolean;
  readonly detail: string;
}

/** Whether what the app lives on can be reached and permits what the app needs. */
export async function deepHealth({
  dps,
  throttledDps,
  clock,
  bus,
  devices,
}: HealthParts): Promise<HttpResponse> {
  const deadline = clock.now().getTime() + withinMs;
  const ask = (access: 'read' | 'write', operation: () => Promise<unknown>) =>
    throttledDps.call('pipeline', deadline, operation, { access });
  const [dpsCheck, serviceBus, tables] = await Promise.all([
    check(`${dps.endpoint} answers, and permits to read and write.`, async () => {
      await ask('read', () => dps.enrollmentGroups.query().byPage({ maxPageSize: 1 }).next());
      await ask('write', () => mayWrite(dps));
    }),
    check('Service Bus takes messages.', () => bus.check()),
    check('Table Storage answers queries.', async () => {
      await devices.page('', { size: 1 });
    }),
  ]);
  const checks = { dps: dpsCheck, serviceBus, tables };
  const healthy = Object.values(checks).every(({ ok }) => ok);
  return json(
    healthy ? 200 : 503,
    { status: healthy ? 'healthy' : 'unhealthy', checks },
    healthy ? {} : { 'retry-after': '30' },
  );
}

/** Asks for keys, which takes the right to write enrollments, of a device that need not be there. */
async function mayWrite(dps: DeviceProvisioningClient): Promise<void> {
  await dps.individualEnrollments.getAttestationMechanism('health-check').catch((error: unknown) => {
    if (!(error instanceof NotFoundError)) {
      throw error;
    }
  });
}

async function check(fine: string, probe: () => Promise<void>): Promise<Check> {
  const timeout = new AbortController();
  const late = setTimeout(withinMs, 'late' as const, { signal: timeout.signal, ref: false });
  // Whichever loses the race may still fail; nobody asks it any more.
  late.catch(() => {});
  const probing = probe();
  probing.catch(() => {});
  try {
    if ((await Promise.race([probing, late])) === 'late') {
      return { ok: false, detail: `No answer within ${withinMs / 1_000} seconds.` };
    }
    return { ok: true, detail: fine };
  } catch (error) {
    return { ok: false, detail: error instanceof Error ? error.message : String(error) };
  } finally {
    timeout.abort();
  }
}
