/**
 * Runs the function app alone: `npm run app -- --endpoints FILE --port N`. Forked by the stack, it is sent the same, and
 * ends with the process that forked it.
 */
import { once } from 'node:events';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type FunctionsHost, startFunctionsHost } from './functions/host.ts';
import { commandLine, portFrom } from './stack/command-line.ts';
import { defaultEndpointsFile, type Endpoints, missingSettings, readEndpoints } from './stack/endpoints.ts';
import { endWithNpm } from './stack/npm-watch.ts';
import { explainTakenPort } from './stack/port-taken.ts';

export interface AppRequest {
  readonly endpoints: Endpoints;
  readonly port: number;
  readonly appDirectory?: string;
}

export type AppReport = { readonly ready: string } | { readonly failed: string };

let isEnding = false;
/** Said by app-process.ts, which forks this and sends the rest. */
const forkedFlag = '--forked';
const project = path.resolve(import.meta.dirname, '../..');

async function runAlone(): Promise<void> {
  endWithNpm();
  const host = await start(requestFromCommandLine());
  process.on('SIGINT', endOnce(host));
  process.on('SIGTERM', endOnce(host));
  console.log(`ready ${host.url}`);
}

async function runForParent(): Promise<void> {
  process.once('disconnect', () => process.exit());
  process.on('SIGINT', () => {}); // Ctrl-C goes to every process of the terminal; the parent says when it is time to go
  const [request] = await once(process, 'message');
  try {
    const host = await start(request as AppRequest);
    process.on('SIGTERM', endOnce(host));
    report({ ready: host.url });
  } catch (error) {
    report({ failed: (error as Error).message }, () => process.exit(1));
  }
}

/** A parent that is gone is no error: this process ends as well. */
function report(message: AppReport, then: () => void = () => {}): void {
  process.send?.(message, then);
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
  // The local host signs a demo person in, as the platform would.
  process.env.SIGN_IN ??= 'entra';
  process.env.WEBSITE_AUTH_ENABLED ??= 'True';
  if (port !== 0) {
    process.env.WEBSITE_HOSTNAME ??= `localhost:${port}`;
  }
  const starting = startFunctionsHost({ appDirectory, port, keys: endpoints.keys });
  return explainTakenPort(starting, 'the function app', () => '--port');
}

/** The first signal lets what runs end, the second does not. */
function endOnce(host: FunctionsHost): () => void {
  return () => {
    if (isEnding) {
      process.exit(1);
    }
    isEnding = true;
    void host.stop().finally(() => process.exit(0));
  };
}

const usage = `Usage: npm run app -- [options]     the function app alone, against a stack that runs (npm start -- --no-app)
  --endpoints FILE  where the stack is found (${defaultEndpointsFile})
  --port N          the app's own (7071; 0 picks a free one)
Settings of the environment win over the stack's.`;

await commandLine(usage, async () => {
  if (process.argv.includes(forkedFlag)) {
    await runForParent();
  } else {
    await runAlone();
  }
});
