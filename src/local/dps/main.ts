#!/usr/bin/env node
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { DpsEmulatorOptions } from './emulator.ts';

const usage = `Usage: dps-emulator [options]     (in its own project: npm run dps-emulator -- [options])
  --dps-port N                  plain HTTP (7080; 0 picks a free port)
  --dps-tls-port N              HTTPS, and MQTT over WebSockets (7443; 0 picks a free port)
  --mqtt-port N                 MQTT over TLS (8883; 0 picks a free port)
  --data DIR                    keeps the state over restarts (default: in memory)
  --operations-per-minute N     quota of the service API (default: off)
  --registrations-per-minute N  quota of device registrations (default: off)`;

/** Runs the emulator until Ctrl-C. */
async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    return;
  }
  // Loaded only now, so that a wrong flag is reported at once.
  const { startDpsEmulator } = await import('./emulator.ts');
  const emulator = await startDpsEmulator(options);
  console.log(`DPS emulator
  service and device APIs ${emulator.endpoint}
  the same over TLS       ${emulator.tlsEndpoint}
  devices over MQTT       ${emulator.mqttEndpoint}
  and over WebSockets     ${emulator.mqttWebSocketEndpoint}
  id scope                ${emulator.idScope}
  connection string       ${emulator.connectionString}
  CA certificate          ${emulator.caCertificate}
  page                    ${emulator.endpoint}/_emulator/
  state                   ${options.dataDirectory ?? 'in memory'}`);

  const stop = () => {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    emulator.close().catch(fail);
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
}

function readOptions(args: readonly string[]): DpsEmulatorOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      'dps-port': { type: 'string', default: '7080' },
      'dps-tls-port': { type: 'string', default: '7443' },
      'mqtt-port': { type: 'string', default: '8883' },
      data: { type: 'string' },
      'operations-per-minute': { type: 'string' },
      'registrations-per-minute': { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return undefined;
  }
  const operations = values['operations-per-minute'];
  const registrations = values['registrations-per-minute'];
  return {
    port: wholeNumber('--dps-port', values['dps-port'], 65_535),
    tlsPort: wholeNumber('--dps-tls-port', values['dps-tls-port'], 65_535),
    mqttPort: wholeNumber('--mqtt-port', values['mqtt-port'], 65_535),
    certificateDirectory: values.data === undefined ? '.local' : join(values.data, 'certificates'),
    ...(values.data !== undefined && { dataDirectory: values.data }),
    quota: {
      ...(operations !== undefined && {
        operationsPerMinute: wholeNumber('--operations-per-minute', operations),
      }),
      ...(registrations !== undefined && {
        registrationsPerMinute: wholeNumber('--registrations-per-minute', registrations),
      }),
    },
  };
}

function wholeNumber(flag: string, text: string, most = 10_000_000): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > most) {
    throw new Error(`${flag} must be a whole number up to ${most}, not '${text}'.`);
  }
  return value;
}

function fail(error: NodeJS.ErrnoException & { port?: number }): void {
  const isTaken = error.code === 'EADDRINUSE';
  const advice = `Port ${error.port} is taken: stop what uses it, or choose another with --dps-port, --dps-tls-port or --mqtt-port.`;
  const [reason] = error.message.split('\n');
  console.error(isTaken ? advice : `The DPS emulator cannot run: ${reason}`);
  process.exitCode = 1;
}

await main().catch(fail);
