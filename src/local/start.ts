/** `npm start`: the local stack and the function app, until Ctrl-C. */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type AppProcess, forkApp } from './stack/app-process.ts';
import { commandLine, portFrom } from './stack/command-line.ts';
import { keepCompiledCode } from './stack/compile-cache.ts';
import {
  defaultEndpointsFile,
  type Endpoints,
  removeEndpoints,
  removeOwnEndpoints,
  writeEndpoints,
} from './stack/endpoints.ts';
import { endWithNpm } from './stack/npm-watch.ts';
import { type Stack, type StackOptions, startStack } from './stack/stack.ts';

interface Flags {
  readonly stack: StackOptions;
  readonly port: number;
  readonly endpointsFile: string;
  readonly withApp: boolean;
}

await commandLine(async () => {
  endWithNpm();
  const flags = readFlags();
  keepCompiledCode();
  removeEndpoints(flags.endpointsFile);
  const waiting = flags.withApp ? forkApp() : undefined; // it loads while the stack starts
  const stack = await startStack(flags.stack);
  const app = await waiting?.run({ endpoints: stack.endpoints, port: flags.port });
  const endpoints = app ? { functions: app.url, ...stack.endpoints } : stack.endpoints;
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
    if (isEnding) process.exit(1);
    isEnding = true;
    await app?.stop();
    await stack.close();
    process.exit(exitCode);
  };
  process.on('SIGINT', () => void end(0));
  process.on('SIGTERM', () => void end(0));
  app?.child.once('exit', () => {
    if (isEnding) return;
    console.error('The function app has ended unexpectedly.');
    void end(1);
  });
}

function describe(endpoints: Endpoints, endpointsFile: string): string {
  const { functions, dps, serviceBus, tables, keys, webhookSecrets } = endpoints;
  const webhooks = Object.entries(webhookSecrets).map(([sender, secret]) => [
    'Webhooks',
    `${functions}/api/webhooks/${sender}  (secret: ${secret})`,
  ]);
  const lines = [
    ['Functions', functions ? `${functions}  (x-functions-key: ${keys.function})` : 'not started (--no-app)'],
    ...(functions ? webhooks : []),
    ['DPS', `${dps.endpoint}  id scope: ${dps.idScope}`],
    ['Devices', `${dps.deviceEndpoint}  ${dps.mqttEndpoint}  ${dps.mqttWebSocketEndpoint}`],
    ['Certificate', path.relative('', dps.caCertificate)],
    ['Service Bus', serviceBus.connectionString],
    ['Storage', tables.connectionString.replace(/^.*?(?=BlobEndpoint)/, '')],
    ['Endpoints', endpointsFile],
  ];
  return lines.map(([name = '', value]) => `${name.padEnd(12)} ${value}`).join('\n');
}
