import { audit, switchOn } from './audits.ts';
import { Chain } from './chain.ts';
import { event, manufactured, type TestEvent } from './events.ts';

const dayInMs = 86_400_000;
const minutesADay = 1_440;
/** What somebody may write who means no good. */
export const evil = `"><img src=x onerror=alert(1)><script>alert(2)</script>`;

/**
 * A small fleet with a story of a week: what was found then, and what is new, resolved, still open and back today. The app
 * of the first audits runs in this process, by a turned clock; the one that shows the pages is real.
 */
export async function toldFleet(): Promise<Chain> {
  const chain = await Chain.start({ apps: 0, env: { DPS_OPERATIONS_PER_MINUTE: '1000000' } });
  chain.clock.turn(-9 * dayInMs);
  const past = chain.startInstance();
  const ago = (days: number, minutes = 0) => ({ minutesAgo: days * minutesADay + minutes });
  const made = (number: number, days: number, more: object = {}, labels: Record<string, string> = {}) =>
    manufactured(
      `thermostat-${String(number).padStart(4, '0')}`,
      {
        product: number % 3 ? 'thermostat-g2' : 'thermostat-g3',
        labels: { plant: number % 4 ? 'brno' : 'kassel', serial: `SN-${1000 + number}`, ...labels },
        ...more,
      },
      ago(days, number),
    );
  const first: TestEvent[] = [
    ...Array.from({ length: 14 }, (_, index) => made(index + 1, 12)),
    made(91, 120, {}, { note: evil }),
    made(92, 120),
    event('batch.started', '2026-W47-B1', { product: 'beacon-b2', labels: { plant: 'kassel' } }, ago(12)),
    ...Array.from({ length: 6 }, (_, index) =>
      manufactured(
        `beacon-${String(index + 1).padStart(4, '0')}`,
        { product: 'beacon-b2', batch: '2026-W47-B1', labels: { plant: 'kassel' } },
        ago(11, index),
      ),
    ),
    event('device.held', 'thermostat-0004', { reason: 'relay sticks' }, ago(10)),
    event('device.scrapped', 'thermostat-0014', undefined, ago(10)),
  ];
  await chain.settle(...first);
  for (const number of [1, 2, 3, 5, 6, 7, 8, 9, 10]) {
    await switchOn(chain, `thermostat-${String(number).padStart(4, '0')}`);
  }
  for (const id of ['beacon-0001', 'beacon-0002', 'beacon-0003', 'beacon-9999']) {
    await switchOn(chain, id, '2026-W47-B1');
  }
  await change(chain, 'thermostat-0001', { tags: { by: 'hand' } });
  await change(chain, 'thermostat-0002', { tags: { by: 'hand' } });
  await audit(past);

  chain.advance(dayInMs);
  // Mended, and found again a week later: it comes back.
  await chain.settle(event('device.changed', 'thermostat-0002', { product: 'thermostat-g2' }, ago(9)));
  await audit(past);

  chain.advance(8 * dayInMs);
  await change(chain, 'thermostat-0002', { tags: { by: 'hand' } });
  await chain.settle(
    manufactured('beacon-9999', { product: 'beacon-b2', batch: '2026-W47-B1' }, ago(8)),
    event('device.held', 'thermostat-0005', { reason: evil }, ago(1)),
    event('device.manufactured', 'toaster-0001', { product: 'toaster-x' }, ago(0, 30)),
    event('device.changed', 'thermostat-0014', { product: 'thermostat-g2' }, ago(0, 20)),
  );
  await switchOn(chain, 'thermostat-0092');
  await switchOn(chain, 'beacon-9998', '2026-W47-B1');
  await audit(past);
  await past.close();
  chain.instances.splice(chain.instances.indexOf(past), 1);
  await chain.startApp();
  return chain;
}

/** By hand, as in the portal. */
async function change(chain: Chain, id: string, initialTwin: object): Promise<void> {
  const { individualEnrollments } = chain.dps;
  const stored = await individualEnrollments.get(id);
  const { symmetricKey } = await individualEnrollments.getAttestationMechanism(id);
  await individualEnrollments.createOrUpdate(
    {
      ...stored,
      attestation: { type: 'symmetricKey', ...(symmetricKey ? { symmetricKey } : {}) },
      initialTwin,
    },
    { ifMatch: '*' },
  );
}
