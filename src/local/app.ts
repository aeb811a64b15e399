/**
 * Runs the function app alone: `npm run app -- --endpoints FILE --port N`. Forked by the stack, it is sent the same, and
 * ends with the process that forked it.
 */
import { once } from 'node:events';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type FunctionsHost, startFunctionsHost } from './functions/host.ts';
import { commandLine, exitWithLine, portFrom } from './stack/command-line.ts';
import { defaultEndpointsFile, type Endpoints, missingSettings, readEndpoints } from './stack/endpoints.ts';
import { explainTakenPort } from './stack/port-taken.ts';

export interface AppRequest {
  readonly endpoints: Endpoints;
  readonly port: number;
  readonly appDirectory?: string;
}

export type AppReport = { readonly ready: string } | { readonly failed: string };

/** An event that is being retried is not waited for: its message comes again. */
const longestDrainInMs = 10_000;
const project = path.resolve(import.meta.dirname, '../..');

await commandLine(async () => {
  const isForked = process.send !== undefined;
  if (isForked) process.once('disconnect', () => process.exit());
  const request = isForked ? await requestFromParent() : requestFromCommandLine();
  const host = await start(request).catch((error: Error) => exitWithLine(error, reportFailure));
  endOnSignal(host);
  console.log(`ready ${host.url}`);
  process.send?.({ ready: host.url } satisfies AppReport);
});

async function requestFromParent(): Promise<AppRequest> {
  const [request] = await once(process, 'message');
  return request as AppRequest;
}

function requestFromCommandLine(): AppRequest {
  const { values } = parseArgs({
    options: {
      endpoints: { type: 'string', default: defaultEndpointsFile },
      port: { type: 'string', default: '7071' },
    },
  });
  return { endpoints: readEndpoints(values.endpoints), port: portFrom('--port', values.port) };
}

function start({ endpoints, port, appDirectory = project }: AppRequest): Promise<FunctionsHost> {
  Object.assign(process.env, missingSettings(endpoints, process.env));
  const starting = startFunctionsHost({ appDirectory, port, keys: endpoints.keys });
  return explainTakenPort(starting, port, 'the function app', '--port');
}

function reportFailure(message: string): Promise<void> {
  return new Promise((resolve) => {
    if (process.send) process.send({ failed: message } satisfies AppReport, () => resolve());
    else resolve();
  });
}

function endOnSignal(host: FunctionsHost): void {
  let isEnding = false;
  const end = async () => {
    if (isEnding) process.exit(1); // asked twice
    isEnding = true;
    setTimeout(() => process.exit(0), longestDrainInMs).unref();
    await host.stop();
    process.exit(0);
  };
  process.on('SIGTERM', () => void end());
  // The terminal sends Ctrl-C to every process of the group; where there is a parent, it says when it is time to go.
  process.on('SIGINT', () => void (process.send === undefined && end()));
}
