/** Writes `factory-shift.jsonl` and `factory-next-day.jsonl`: two days in two plants. Run it when they should tell another story. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';

import { simulatedTpm } from '../devices/simulated-tpm.ts';
import { demoSymmetricKey, issueCertificate } from './demo-authority.ts';

const brno = '/factories/brno/mes';
const gdansk = '/factories/gdansk/mes';
const service = '/erp/service';
const start = Date.parse('2026-11-23T05:30:00Z');
const minutesADay = 1_440;

interface Line {
  readonly minute: number;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly data?: object;
  readonly id?: string;
}

let lines: Line[] = [];
/** What arrives at another time than it happened stands at another place in the file. */
function add(
  minute: number,
  source: string,
  type: string,
  subject: string,
  data?: object,
  id?: string,
): void {
  lines.push({ minute, source, type, subject, ...(data ? { data } : {}), ...(id ? { id } : {}) });
}

const number = (index: number) => String(index).padStart(4, '0');

async function makeShift(): Promise<void> {
  const thermostat = (index: number) => `thermostat-${number(index)}`;
  const sensor = (index: number) => `sensor-${number(index)}`;
  const beacon = (index: number) => `beacon-${number(index)}`;
  const gateway = (index: number) => `gateway-${number(index)}`;
  const meter = (index: number) => `meter-${number(index)}`;

  // 05:30: both plants open their batches.
  const intermediate = await issueCertificate('Contoso Sensors Line 3 CA 2026-W47', {
    issuer: 'Contoso Devices Root CA',
    ca: true,
  });
  add(0, brno, 'batch.started', '2026-W47-S3', {
    product: 'sensor-t1',
    attestation: { type: 'x509', signingCertificate: intermediate.certificate },
    tags: { plant: 'brno', line: 3 },
    labels: { plant: 'brno', line: 'L3' },
  });
  add(1, gdansk, 'batch.started', '2026-W47-B1', {
    product: 'beacon-b2',
    tags: { plant: 'gdansk' },
    desired: { advertiseSeconds: 10 },
  });

  // 05:40: thermostats in Brno. The line writes its own keys into the first four; DPS makes those of the others.
  for (let index = 1; index <= 16; index++) {
    const keys =
      index <= 4
        ? {
            type: 'symmetricKey',
            primaryKey: demoSymmetricKey(thermostat(index), 'primary'),
            secondaryKey: demoSymmetricKey(thermostat(index), 'secondary'),
          }
        : undefined;
    add(10 + index, brno, 'device.manufactured', thermostat(index), {
      product: index % 4 === 0 ? 'thermostat-g3' : 'thermostat-g2',
      tags: { plant: 'brno', order: `4500${17 + Math.floor(index / 5)}` },
      labels: { plant: 'brno', line: 'L1', serial: `BR-${2600 + index}` },
      ...(keys ? { attestation: keys } : {}),
      ...(index === 6 ? { desired: { units: 'celsius', schedule: { version: 2, weekdays: [6, 22] } } } : {}),
    });
  }

  // 06:10: gateways in Gdańsk, each with a certificate of its own.
  for (let index = 1; index <= 5; index++) {
    const { certificate } = await issueCertificate(gateway(index), { issuer: 'Contoso Gateways CA' });
    add(40 + index, gdansk, 'device.manufactured', gateway(index), {
      product: 'gateway-edge-x1',
      attestation: { type: 'x509', certificate },
      tags: { plant: 'gdansk' },
      labels: { plant: 'gdansk', serial: `GD-${700 + index}` },
      deviceInformation: { color: index % 2 ? 'white' : 'graphite', firmware: '4.1.0' },
    });
  }

  // In August: meters in Gdańsk; their TPMs were read at the end of the line. They have lain in the warehouse since.
  for (let index = 1; index <= 4; index++) {
    add(50 + index - 100 * minutesADay, gdansk, 'device.manufactured', meter(index), {
      product: 'meter-e1',
      attestation: { type: 'tpm', endorsementKey: simulatedTpm(meter(index)).endorsementKey },
      tags: { plant: 'gdansk', tariff: 'night' },
      labels: { plant: 'gdansk', serial: `GM-${100 + index}` },
    });
  }

  // 06:30: the batches come off the line.
  for (let index = 1; index <= 12; index++) {
    const { certificate } = await issueCertificate(sensor(index), { issuer: intermediate.name });
    add(60 + index, brno, 'device.manufactured', sensor(index), {
      product: 'sensor-t1',
      batch: '2026-W47-S3',
      labels: { plant: 'brno', line: 'L3' },
      ...(index === 5 ? { attestation: { type: 'x509', certificate } } : {}),
    });
  }
  for (let index = 1; index <= 12; index++) {
    add(60 + index, gdansk, 'device.manufactured', beacon(index), {
      product: 'beacon-b2',
      batch: '2026-W47-B1',
      labels: { plant: 'gdansk' },
    });
  }

  // 08:00: quality has doubts, and settles some of them.
  add(150, brno, 'device.held', thermostat(7), { reason: 'display flickers' });
  add(151, brno, 'device.held', thermostat(8), { reason: 'relay sticks' });
  add(152, brno, 'device.held', sensor(5), { reason: 'offset out of range' });
  add(153, gdansk, 'device.held', beacon(3), { reason: 'antenna' });
  add(154, gdansk, 'device.held', beacon(4), { reason: 'antenna' });
  add(155, gdansk, 'device.held', gateway(2), { reason: 'fan' });
  add(200, brno, 'device.released', thermostat(7));
  add(205, gdansk, 'device.released', beacon(4));

  // 09:30: the MES of Gdańsk repeats itself after a network fault, and so does Brno's webhook.
  add(41, gdansk, 'device.manufactured', gateway(1), undefined, 'repeat');
  add(153, gdansk, 'device.held', beacon(3), undefined, 'repeat');
  add(15, brno, 'device.manufactured', thermostat(5), undefined, 'repeat');

  // 10:00: rework. One thermostat is scrapped and built anew, one is only scrapped.
  add(270, brno, 'device.scrapped', thermostat(9), { reason: 'cracked housing' });
  add(275, brno, 'device.scrapped', thermostat(10), { reason: 'wrong board' });
  add(330, brno, 'device.manufactured', thermostat(10), {
    product: 'thermostat-g3',
    remanufactured: true,
    tags: { plant: 'brno', rework: true },
  });
  add(335, gdansk, 'device.scrapped', beacon(9), { reason: 'water' });

  // 12:00: an order changes its customer; a customer sends one back.
  add(390, brno, 'device.changed', thermostat(11), {
    product: 'thermostat-g2',
    tags: { plant: 'brno', customer: 'Hotel Slavia' },
    desired: { units: 'celsius' },
  });
  add(395, service, 'device.returned', thermostat(12));
  // Late: written at 06:05, stuck in a terminal until now. The change of 12:00 is newer.
  add(35, brno, 'device.changed', thermostat(11), {
    product: 'thermostat-g2',
    tags: { plant: 'brno', customer: 'Motel Bor' },
  });

  // 12:30: what nobody can use.
  add(420, gdansk, 'device.manufactured', 'toaster-0001', { product: 'toaster-x' });
  add(421, brno, 'device.manufactured', 'thermostat 0017', { product: 'thermostat-g2' });
  add(422, gdansk, 'device.manufactured', 'thermostat-0018', { tags: { plant: 'gdansk' } });
  add(423, gdansk, 'device.manufactured', meter(5), {
    product: 'meter-e1',
    attestation: { type: 'tpm', endorsementKey: 'not/base64!' },
  });
  const expired = await issueCertificate(gateway(6), {
    issuer: 'Contoso Gateways CA',
    validity: { notBefore: new Date('2024-01-01T00:00:00Z'), notAfter: new Date('2025-01-01T00:00:00Z') },
  });
  add(424, gdansk, 'device.manufactured', gateway(6), {
    product: 'gateway-edge-x1',
    attestation: { type: 'x509', certificate: expired.certificate },
  });
  add(425, brno, 'device.vanished', thermostat(1));
  add(426, gdansk, 'device.changed', beacon(9), { product: 'beacon-b2', batch: '2026-W47-B1' });

  // 13:00: the shift ends.
  add(450, brno, 'batch.held', '2026-W47-S3', { reason: 'awaits the calibration report' });
  add(455, brno, 'batch.released', '2026-W47-S3');

  write('factory-shift.jsonl');
}

/** What changes overnight: some findings are resolved, some are new. */
function makeNextDay(): void {
  const day = minutesADay;
  // 05:30: more thermostats and a second batch of beacons.
  for (let index = 21; index <= 26; index++) {
    add(day + index, brno, 'device.manufactured', `thermostat-${number(index)}`, {
      product: 'thermostat-g3',
      tags: { plant: 'brno', order: '450022' },
      labels: { plant: 'brno', line: 'L2', serial: `BR-${2600 + index}` },
    });
  }
  add(day + 40, gdansk, 'batch.started', '2026-W48-B2', {
    product: 'beacon-b2',
    tags: { plant: 'gdansk' },
    labels: { plant: 'gdansk' },
  });
  for (let index = 21; index <= 26; index++) {
    add(day + 40 + index, gdansk, 'device.manufactured', `beacon-${number(index)}`, {
      product: 'beacon-b2',
      batch: '2026-W48-B2',
      labels: { plant: 'gdansk' },
    });
  }

  // 08:00: quality lets go of a relay, and looks at another fan.
  add(day + 150, brno, 'device.released', 'thermostat-0008');
  add(day + 151, gdansk, 'device.held', 'gateway-0003', { reason: 'fan' });
  add(day + 152, gdansk, 'batch.held', '2026-W48-B2', { reason: 'antenna, whole batch' });

  // 09:00: the beacon that nobody had made was made all right: its event was stuck.
  add(day + 210, gdansk, 'device.manufactured', 'beacon-9999', {
    product: 'beacon-b2',
    batch: '2026-W47-B1',
    labels: { plant: 'gdansk' },
  });

  // 11:00: somebody types a product.
  add(day + 330, gdansk, 'device.manufactured', 'gateway-0007', { product: 'gatway-edge-x1' });
  write('factory-next-day.jsonl');
}

function write(name: string): void {
  const file = path.resolve(import.meta.dirname, name);
  writeFileSync(
    file,
    `${cloudEvents()
      .map((event) => JSON.stringify(event))
      .join('\n')}\n`,
  );
  lines = [];
}

const counters = new Map<string, number>();

function cloudEvents(): object[] {
  const sent = new Map<string, object>();
  return lines.map(({ minute, source, type, subject, data, id }) => {
    const original = `${minute} ${source} ${type} ${subject}`;
    if (id === 'repeat') {
      const first = sent.get(original);
      if (!first) {
        throw new Error(`Nothing to repeat: ${original}`);
      }
      return first;
    }
    const count = (counters.get(source) ?? 0) + 1;
    counters.set(source, count);
    const event = {
      specversion: '1.0',
      id: `${source.split('/')[2]}-${String(count).padStart(5, '0')}`,
      source,
      type: `com.contoso.${source.startsWith('/erp') ? 'erp' : 'mes'}.${type}`,
      subject,
      time: new Date(start + minute * 60_000).toISOString(),
      datacontenttype: 'application/json',
      ...(data ? { data } : {}),
    };
    sent.set(original, event);
    return event;
  });
}

await makeShift();
makeNextDay();
