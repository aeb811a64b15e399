import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { handleAdmin } from './admin.ts';
import { isDisabled, loadLocalSettings } from './app-settings.ts';
import { FunctionApp, triggerOf } from './function-app.ts';
import { readHostJson } from './host-json.ts';
import { endWith } from './http-response.ts';
import { HttpTriggers } from './http-trigger.ts';
import type { Keys } from './keys.ts';
import { loadApp } from './load-app.ts';
import { type Log, logToStandardError } from './log.ts';
import type { RegisteredFunction } from './protocol.ts';
import { startServiceBusListener } from './service-bus-trigger.ts';
import { type Listener, startTimer } from './timer-trigger.ts';

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
  /** Takes nothing new, lets what runs end, and closes. */
  stop(): Promise<void>;
}

/**
 * Runs a function app in this process: HTTP, timer and Service Bus triggers. What the app throws while it loads (a
 * missing setting, say) is thrown on. An app can be loaded once a process, because modules are evaluated once.
 */
export async function startFunctionsHost(options: FunctionsHostOptions): Promise<FunctionsHost> {
  const { keys, log = logToStandardError } = options;
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
  const listeners: Listener[] = [];
  const close = async () => {
    await Promise.all([closeServer(server), ...listeners.map((listener) => listener.stop())]);
    await app.runHooks('appTerminate', { hookData: {}, appHookData: {} });
  };
  try {
    for (const timer of byTrigger.get('timertrigger') ?? []) listeners.push(startTimer(app, timer));
    for (const consumer of byTrigger.get('servicebustrigger') ?? []) {
      listeners.push(await startServiceBusListener(app, consumer, settings.serviceBus));
    }
  } catch (error) {
    await close();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  return { url: `http://${options.hostname ?? 'localhost'}:${port}`, stop: close };
}

function enabledFunctions(app: FunctionApp): RegisteredFunction[] {
  const known = new Set(['httptrigger', 'timertrigger', 'servicebustrigger']);
  const enabled = [...app.functions.values()].filter(({ metadata }) => !isDisabled(metadata.name));
  for (const registered of enabled) {
    const { type } = triggerOf(registered);
    if (known.has(type)) continue;
    throw new Error(
      `The local Functions host has no ${type}, but the function '${registered.metadata.name}' has one.`,
    );
  }
  return enabled;
}

async function refuseStreaming(app: FunctionApp): Promise<void> {
  const capabilities = await app.model?.getCapabilities?.({});
  if (capabilities?.HttpUri === undefined) return;
  throw new Error('The local Functions host has no HTTP streaming: remove enableHttpStream from app.setup.');
}

function createServer(app: FunctionApp, keys: Keys, triggers: HttpTriggers): http.Server {
  return http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const url = urlOf(request);
    if (url === undefined) {
      endWith(response, 400);
      return;
    }
    const isAdmin = url.pathname.startsWith('/admin/');
    const handled = isAdmin
      ? handleAdmin(app, keys, request, response, url)
      : triggers.handle(request, response, url);
    handled.catch((error) => {
      app.log({ level: 'error', category: 'Host', message: String(error?.stack ?? error) });
      if (response.headersSent) response.destroy();
      else endWith(response, 500);
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

function closeServer(server: http.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
