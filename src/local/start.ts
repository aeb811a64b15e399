/** `npm start`: the local stack and the function app, until Ctrl-C. */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type AppProcess, forkApp } from './stack/app-process.ts';
import { appTargets, namedElsewhere, withoutOtherSecrets } from './stack/app-targets.ts';
import { commandLine, portFrom } from './stack/command-line.ts';
import { keepCompiledCode } from './stack/compile-cache.ts';
import {
  type AppTargets,
  defaultEndpointsFile,
  type Endpoints,
  removeOwnEndpoints,
  takeEndpointsOver,
  writeEndpoints,
} from './stack/endpoints.ts';
import { endWithNpm } from './stack/npm-watch.ts';
import { ownDirectory } from './stack/owner.ts';
import { type Stack, type StackOptions, startStack } from './stack/stack.ts';

interface Flags {
  readonly stack: StackOptions;
  readonly port: number;
  readonly endpointsFile: string;
  readonly withApp: boolean;
}

const usage = `Usage: npm start -- [options]     the local stack and the function app, until Ctrl-C
  --port N             the function app (7071)
  --dps-port N         DPS over HTTP (7080)
  --dps-tls-port N     DPS over HTTPS, and MQTT over WebSockets (7443)
  --mqtt-port N        DPS over MQTT (8883)
  --servicebus-port N  Service Bus: AMQP, plain and within TLS (5672)
  --azurite-port N     blobs; queues and tables on the next two (10000)
  --data DIR           keeps DPS and Storage over restarts (default: in memory). Service Bus keeps nothing
  --endpoints FILE     where everything is found (${defaultEndpointsFile})
  --no-app             without the function app: start it with npm run app
Port 0 picks a free one. Settings of the environment (DPS_CONNECTION_STRING, DPS_ENDPOINT, ServiceBusConnection,
TableStorage, …) win over the stack's: the app then uses what they name.`;

await commandLine(usage, async () => {
  endWithNpm();
  const flags = readFlags();
  keepCompiledCode();
  takeEndpointsOver(flags.endpointsFile);
  if (flags.stack.dataDirectory !== undefined) {
    ownDirectory(flags.stack.dataDirectory);
  }
  const waiting = flags.withApp ? forkApp() : undefined; // it loads while the stack starts
  const stack = await startStack(flags.stack);
  const app = await waiting?.run({ endpoints: stack.endpoints, port: flags.port });
  const endpoints = endpointsOf(stack, app);
  process.on('exit', () => removeOwnEndpoints(flags.endpointsFile, endpoints));
  endOnSignal(stack, app);
  writeEndpoints(flags.endpointsFile, endpoints);
  console.log(describe(endpoints, flags.endpointsFile));
});

function readFlags(): Flags {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '7071' },
      'dps-port': { type: 'string', default: '7080' },
      'dps-tls-port': { type: 'string', default: '7443' },
      'mqtt-port': { type: 'string', default: '8883' },
      'servicebus-port': { type: 'string', default: '5672' },
      'azurite-port': { type: 'string', default: '10000' },
      data: { type: 'string' },
      endpoints: { type: 'string', default: defaultEndpointsFile },
      'no-app': { type: 'boolean', default: false },
    },
  });
  return {
    stack: {
      dpsPort: portFrom('--dps-port', values['dps-port']),
      dpsTlsPort: portFrom('--dps-tls-port', values['dps-tls-port']),
      mqttPort: portFrom('--mqtt-port', values['mqtt-port']),
      serviceBusPort: portFrom('--servicebus-port', values['servicebus-port']),
      azuritePort: portFrom('--azurite-port', values['azurite-port']),
      ...(values.data === undefined
        ? { certificateDirectory: path.dirname(defaultEndpointsFile) }
        : { dataDirectory: values.data }),
    },
    port: portFrom('--port', values.port),
    endpointsFile: values.endpoints,
    withApp: !values['no-app'],
  };
}

/** The first signal ends things in order, the second at once. Children end with this process in any case. */
function endOnSignal(stack: Stack, app: AppProcess | undefined): void {
  let isEnding = false;
  const end = async (exitCode: number) => {
    if (isEnding) {
      process.exit(1);
    }
    isEnding = true;
    await app?.stop();
    await stack.close();
    process.exit(exitCode);
  };
  process.on('SIGINT', () => void end(0));
  process.on('SIGTERM', () => void end(0));
  app?.child.once('exit', () => {
    if (isEnding) {
      return;
    }
    console.error('The function app has ended unexpectedly.');
    void end(1);
  });
}

function endpointsOf(stack: Stack, app: AppProcess | undefined): Endpoints {
  const base = { pid: process.pid, ...stack.endpoints };
  if (app === undefined) {
    return base;
  }
  const known = withoutOtherSecrets(base, process.env);
  return { functions: app.url, ...known, app: appTargets(base, process.env) };
}

function describe(endpoints: Endpoints, endpointsFile: string): string {
  const { functions, dps, serviceBus, tables, keys, webhookSecrets } = endpoints;
  const webhooks = Object.entries(webhookSecrets).map(([sender, secret]) => [
    'Webhooks',
    `${functions}/api/webhooks/${sender}  (secret: ${secret})`,
  ]);
  const lines = [
    ['Functions', functions ? `${functions}  (x-functions-key: ${keys.function})` : 'not started (--no-app)'],
    ...(functions ? [['Pages', `${functions}/fleet  (a demo person is signed in)`]] : []),
    ...(functions ? webhooks : []),
    ['DPS', `${dps.endpoint}  id scope: ${dps.idScope}`],
    ['Devices', `${dps.deviceEndpoint}  ${dps.mqttEndpoint}  ${dps.mqttWebSocketEndpoint}`],
    ['Certificate', path.relative('', dps.caCertificate)],
    ['Service Bus', serviceBus.connectionString],
    ['Storage', tables.connectionString.replace(/^.*?(?=BlobEndpoint)/, '')],
    ['Endpoints', endpointsFile],
    ...(endpoints.app ? usedElsewhere(endpoints.app) : []),
  ];
  return lines.map(([name = '', value]) => `${name.padEnd(12)} ${value}`).join('\n');
}

/** What of the stack above the app does not use, because the environment names another. */
function usedElsewhere(targets: AppTargets): string[][] {
  const names = { dps: 'DPS', serviceBus: 'Service Bus', tables: 'tables' } as const;
  return (['dps', 'serviceBus', 'tables'] as const).flatMap((service) => {
    const named = namedElsewhere(service, process.env);
    return named ? [['The app uses', `${names[service]}: ${targets[service]}  (by ${named.setting})`]] : [];
  });
}
