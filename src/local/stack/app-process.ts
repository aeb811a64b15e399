import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { AppReport, AppRequest } from '../app.ts';
import { compileCacheSettings } from './compile-cache.ts';
import type { Endpoints } from './endpoints.ts';

export interface AppProcessOptions {
  readonly endpoints: Endpoints;
  /** 0, the default: a free one. */
  readonly port?: number;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Where the function app lies; by default this project. */
  readonly appDirectory?: string;
  /** What the app writes: to this process's own output by default. */
  readonly output?: 'inherit' | 'ignore' | 'pipe';
}

export interface AppProcess {
  readonly url: string;
  readonly child: ChildProcess;
  /** Lets what runs end. */
  stop(): Promise<void>;
  /** As a crash would. */
  kill(): Promise<void>;
}

/** A process that waits for its endpoints: it can be started before they are known, to load meanwhile. */
export interface WaitingAppProcess {
  readonly child: ChildProcess;
  run(request: AppRequest): Promise<AppProcess>;
}

/** Runs the function app in a process that ends with this one. */
export async function startAppProcess(options: AppProcessOptions): Promise<AppProcess> {
  const { endpoints, port = 0, appDirectory } = options;
  return forkApp(options).run({ endpoints, port, ...(appDirectory !== undefined && { appDirectory }) });
}

export function forkApp({ env, output = 'inherit' }: Partial<AppProcessOptions> = {}): WaitingAppProcess {
  const child = fork(path.resolve(import.meta.dirname, '../app.ts'), ['--forked'], {
    env: { ...process.env, ...compileCacheSettings(), ...env },
    execArgv: [],
    stdio: ['ignore', output, output, 'ipc'],
  });
  const endWith = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      return;
    }
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };
  return {
    child,
    async run(request) {
      child.send(request);
      const report = await firstReport(child);
      if ('failed' in report) {
        await endWith('SIGKILL');
        throw new Error(report.failed);
      }
      return { url: report.ready, child, stop: () => endWith('SIGTERM'), kill: () => endWith('SIGKILL') };
    },
  };
}

async function firstReport(child: ChildProcess): Promise<AppReport> {
  const stopWaiting = new AbortController();
  const { signal } = stopWaiting;
  try {
    return await Promise.race([
      once(child, 'message', { signal }).then(([report]) => report as AppReport),
      once(child, 'exit', { signal }).then(
        ([code, killedBy]): AppReport => ({
          failed: `The function app ended before it was ready (${killedBy ?? code}).`,
        }),
      ),
    ]);
  } finally {
    stopWaiting.abort();
  }
}
