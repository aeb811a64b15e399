/** `npm run devices -- --count N`: switches many devices on against what `npm start` runs. */
import { parseArgs } from 'node:util';

import { DeviceProvisioningClient } from '../dps/client.ts';
import { type EventJson, readEventFile } from './demo/event-file.ts';
import { type Fleet, type FleetDevice, fleetOf } from './devices/fleet.ts';
import { FleetCredentials } from './devices/fleet-credentials.ts';
import { Progress } from './devices/progress.ts';
import { provisioningOf } from './devices/provisioning.ts';
import { registerFleet } from './devices/register-fleet.ts';
import { commandLine } from './stack/command-line.ts';
import { keepCompiledCode } from './stack/compile-cache.ts';
import { defaultEndpointsFile, readEndpoints } from './stack/endpoints.ts';

const usage = `Usage: npm run devices -- [--count N] [--file FLEET] [--endpoints FILE]
  --count N         how many (default: all of the file)
  --file FLEET      CloudEvents, as npm run send takes them: the devices that they manufacture
  --endpoints FILE  what to register with (${defaultEndpointsFile})
Without --file: the first N individual enrollments with symmetric keys or TPMs that DPS has.`;
const devicesAtOnce = 32;

await commandLine(usage, async () => {
  keepCompiledCode();
  const { values } = parseArgs({
    options: {
      count: { type: 'string' },
      file: { type: 'string' },
      endpoints: { type: 'string', default: defaultEndpointsFile },
    },
  });
  const wanted = countFrom(values.count);
  if (wanted === undefined && values.file === undefined) {
    throw new Error('Say how many devices: npm run devices -- --count N [--file FLEET].');
  }
  const endpoints = readEndpoints(values.endpoints);
  const client = DeviceProvisioningClient.fromConnectionString(endpoints.dps.connectionString);
  try {
    const limit = wanted ?? Number.POSITIVE_INFINITY;
    const fleet = values.file === undefined ? await enrolledFleet(client, limit) : fleetIn(values.file);
    const devices = fleet.devices.slice(0, limit);
    if (devices.length === 0) {
      throw new Error(nothingThere(values.file));
    }
    const credentials = new FleetCredentials(client, fleet);
    const progress = new Progress(devices.length);
    const results = await registerFleet(devices, provisioningOf(endpoints), {
      devicesAtOnce,
      credentialOf: (device) => credentials.of(device),
      onResult: (result) => progress.add(result),
    });
    progress.end();
    if (wanted !== undefined && devices.length < wanted) {
      console.log(`There are ${devices.length} devices, not ${wanted}.`);
    }
    if (results.some(({ status }) => status === 'unreachable')) {
      process.exitCode = 1;
    }
  } finally {
    await client.close();
  }
});

function countFrom(text: string | undefined): number | undefined {
  if (text === undefined) {
    return undefined;
  }
  const wanted = Number(text);
  if (/^\d{1,7}$/.test(text) && wanted > 0) {
    return wanted;
  }
  throw new Error(`--count must be a whole number from 1 to 9999999, not '${text}'.`);
}

/** A line that is no JSON is no device's. */
function fleetIn(file: string): Fleet {
  const events = readEventFile(file).flatMap((line): EventJson[] => {
    try {
      const event: unknown = JSON.parse(line);
      return typeof event === 'object' && event !== null ? [event as EventJson] : [];
    } catch {
      return [];
    }
  });
  return fleetOf(events);
}

async function enrolledFleet(client: DeviceProvisioningClient, limit: number): Promise<Fleet> {
  const devices: FleetDevice[] = [];
  for await (const { registrationId, attestation } of client.individualEnrollments.query()) {
    if (attestation.type === 'symmetricKey' || attestation.type === 'tpm') {
      devices.push({ registrationId });
    }
    if (devices.length >= limit) {
      break;
    }
  }
  return { devices, signingCertificates: new Map() };
}

function nothingThere(file: string | undefined): string {
  return file === undefined
    ? 'DPS has no individual enrollments with symmetric keys or TPMs: send events first, as with npm run send -- src/local/demo/factory-shift.jsonl.'
    : `${file} manufactures no device: it must hold device.manufactured events.`;
}
