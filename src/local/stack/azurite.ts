import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import type { AzuriteReport, AzuriteRequest } from './azurite-process.ts';
import { compileCacheSettings } from './compile-cache.ts';

export interface Azurite {
  readonly connectionString: string;
  close(): Promise<void>;
}

/** Azurite's own account, which everybody knows. */
const accountName = 'devstoreaccount1';
const accountKey = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

export async function startAzurite(request: AzuriteRequest): Promise<Azurite> {
  if (request.dataDirectory !== undefined) {
    mkdirSync(request.dataDirectory, { recursive: true, mode: 0o700 });
    chmodSync(request.dataDirectory, 0o700);
  }
  const child = fork(path.join(import.meta.dirname, 'azurite-process.ts'), {
    env: { ...process.env, ...compileCacheSettings(), NODE_NO_WARNINGS: '1' },
    execArgv: [],
  });
  child.send(request);
  const report = await firstReport(child);
  if ('failed' in report) {
    child.disconnect();
    throw Object.assign(new Error(`Azurite did not start: ${report.failed.message}`), report.failed);
  }
  const { blob, queue, table } = report.addresses;
  return {
    connectionString:
      `DefaultEndpointsProtocol=http;AccountName=${accountName};AccountKey=${accountKey};` +
      `BlobEndpoint=${blob}/${accountName};QueueEndpoint=${queue}/${accountName};TableEndpoint=${table}/${accountName};`,
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) {
        return;
      }
      const exited = once(child, 'exit');
      if (child.connected) {
        child.disconnect();
      }
      await exited;
    },
  };
}

async function firstReport(child: ChildProcess): Promise<AzuriteReport> {
  const stopWaiting = new AbortController();
  const { signal } = stopWaiting;
  try {
    return await Promise.race([
      once(child, 'message', { signal }).then(([report]) => report as AzuriteReport),
      once(child, 'exit', { signal }).then(
        ([code]): AzuriteReport => ({ failed: { message: `it exited with ${code}` } }),
      ),
    ]);
  } finally {
    stopWaiting.abort();
  }
}
