import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { handleAdmin } from './admin.ts';
import { isDisabled, loadLocalSettings } from './app-settings.ts';
import { takeConsoleLines } from './console-lines.ts';
import { FunctionApp, triggerOf } from './function-app.ts';
import { readHostJson } from './host-json.ts';
import { endWith } from './http-response.ts';
import { HttpTriggers } from './http-trigger.ts';
import type { Keys } from './keys.ts';
import type { Listener } from './listener.ts';
import { loadApp } from './load-app.ts';
import { handleSignIn, isSignInPath, withPrincipal } from './local-sign-in.ts';
import { type Log, logToStandardError } from './log.ts';
import type { RegisteredFunction } from './protocol.ts';
import { startServiceBusListener } from './service-bus-trigger.ts';
import { startTimer } from './timer-trigger.ts';

export interface FunctionsHostOptions {
  /** With host.json, and package.json whose `main` (a glob is allowed) names the modules to load. */
  readonly appDirectory: string;
  /** 0 picks a free one. */
  readonly port?: number;
  readonly hostname?: string;
  readonly keys: Keys;
  readonly log?: Log;
}

export interface FunctionsHost {
  readonly url: string;
  /**
   * Takes nothing new, lets what runs end, and closes. As in Azure, what runs longer than 10 s is left behind: its
   * message is locked until the lock expires, and comes again.
   */
  stop(drainInMs?: number): Promise<void>;
}

const longestDrainInMs = 10_000;

/**
 * Runs a function app in this process: HTTP, timer and Service Bus triggers. What the app throws while it loads (a
 * missing setting, say) is thrown on. An app can be loaded once a process, because modules are evaluated once.
 */
export async function startFunctionsHost(options: FunctionsHostOptions): Promise<FunctionsHost> {
  const { log = logToStandardError } = options;
  const giveConsoleBack = takeConsoleLines(log);
  try {
    const { url, stop } = await start(options, log);
    return { url, stop: (drainInMs) => stop(drainInMs).finally(giveConsoleBack) };
  } catch (error) {
    giveConsoleBack();
    throw error;
  }
}

async function start(options: FunctionsHostOptions, log: Log): Promise<FunctionsHost> {
  const { keys } = options;
  const appDirectory = path.resolve(options.appDirectory);
  const settings = readHostJson(appDirectory);
  loadLocalSettings(appDirectory);
  const app = new FunctionApp(log);
  await loadApp(app, appDirectory);
  await app.runHooks('appStart', { hookData: {}, appHookData: {}, functionAppDirectory: appDirectory });
  await refuseStreaming(app);

  const byTrigger = Map.groupBy(enabledFunctions(app), (registered) => triggerOf(registered).type);
  const triggers = new HttpTriggers(app, byTrigger.get('httptrigger') ?? [], settings.routePrefix, keys);
  const server = createServer(app, keys, triggers);
  await listen(server, options.port ?? 7071, options.hostname ?? '127.0.0.1');
  const listeners: Listener[] = [listenerOf(server)];
  const stop = async (drainInMs = longestDrainInMs) => {
    const drained = Promise.all(listeners.map((listener) => listener.drain()));
    await Promise.race([drained, setTimeout(drainInMs, undefined, { ref: false })]);
    await Promise.all(listeners.map((listener) => listener.close()));
    await app.runHooks('appTerminate', { hookData: {}, appHookData: {} });
  };
  try {
    for (const timer of byTrigger.get('timertrigger') ?? []) {
      listeners.push(startTimer(app, timer));
    }
    for (const consumer of byTrigger.get('servicebustrigger') ?? []) {
      listeners.push(await startServiceBusListener(app, consumer, settings.serviceBus));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  return { url: `http://${options.hostname ?? 'localhost'}:${port}`, stop };
}

function enabledFunctions(app: FunctionApp): RegisteredFunction[] {
  const known = new Set(['httptrigger', 'timertrigger', 'servicebustrigger']);
  const enabled = [...app.functions.values()].filter(({ metadata }) => !isDisabled(metadata.name));
  for (const registered of enabled) {
    const { type } = triggerOf(registered);
    if (known.has(type)) {
      continue;
    }
    throw new Error(
      `The local Functions host has no ${type}, but the function '${registered.metadata.name}' has one.`,
    );
  }
  return enabled;
}

async function refuseStreaming(app: FunctionApp): Promise<void> {
  const capabilities = await app.model?.getCapabilities?.({});
  if (capabilities?.HttpUri === undefined) {
    return;
  }
  throw new Error('The local Functions host has no HTTP streaming: remove enableHttpStream from app.setup.');
}

function createServer(app: FunctionApp, keys: Keys, triggers: HttpTriggers): http.Server {
  // As the platform says that it checks who signs in.
  const signsIn = process.env.WEBSITE_AUTH_ENABLED?.toLowerCase() === 'true';
  return http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const url = urlOf(request);
    if (url === undefined) {
      endWith(response, 400);
      return;
    }
    if (signsIn && isSignInPath(url)) {
      handleSignIn(request, response, url);
      return;
    }
    if (signsIn) {
      withPrincipal(request);
    }
    const isAdmin = url.pathname.startsWith('/admin/');
    const handled = isAdmin
      ? handleAdmin(app, keys, request, response, url)
      : triggers.handle(request, response, url);
    handled.catch((error) => {
      app.log({ level: 'error', category: 'Host', message: String(error?.stack ?? error) });
      if (response.headersSent) {
        response.destroy();
      } else {
        endWith(response, 500);
      }
    });
  });
}

function urlOf(request: http.IncomingMessage): URL | undefined {
  const url = `http://${request.headers.host ?? 'localhost'}${request.url ?? '/'}`;
  return URL.canParse(url) ? new URL(url) : undefined;
}

function listen(server: http.Server, port: number, hostname: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, hostname, resolve);
  });
}

function listenerOf(server: http.Server): Listener {
  return {
    drain: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
    close: async () => server.closeAllConnections(),
  };
}
