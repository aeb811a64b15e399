/** From `npm start` to the first event taken: what somebody waits who changes the code and tries it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Endpoints, readEndpoints } from '../../src/local/stack/endpoints.ts';
import { freePorts } from '../support/free-ports.ts';
import type { Report } from './figure.ts';

const rounds = 5;
const goalInMs = 3000;
const project = path.resolve(import.meta.dirname, '../..');

export async function run(report: Report): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'bench-start-'));
  try {
    await timeStart(folder); // fills the caches, as the start before did
    const times: number[] = [];
    for (let i = 0; i < rounds; i++) {
      times.push(await timeStart(folder));
    }
    const median = times.sort((a, b) => a - b)[Math.floor(rounds / 2)] ?? 0;
    report({
      name: 'npm start to the first POST /api/events answered 202',
      value: median,
      unit: 'ms',
      goal: `at most ${goalInMs} ms`,
      met: median <= goalInMs,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function timeStart(folder: string): Promise<number> {
  const file = path.join(folder, 'endpoints.json');
  const began = performance.now();
  const npm = spawn('npm', ['start', '--', `--endpoints=${file}`, ...freePorts], {
    cwd: project,
    stdio: 'ignore',
    detached: true,
  });
  try {
    while (!existsSync(file)) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await postEvent(readEndpoints(file));
    return performance.now() - began;
  } finally {
    await end(npm);
    while (existsSync(file)) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

async function postEvent({ functions, keys }: Endpoints): Promise<void> {
  const event = {
    specversion: '1.0',
    id: 'bench',
    source: '/bench',
    type: 'device.manufactured',
    subject: 'thermostat-000001',
    time: new Date().toISOString(),
    data: { product: 'thermostat-g2' },
  };
  const response = await fetch(`${functions}/api/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents+json', 'x-functions-key': keys.function },
    body: JSON.stringify(event),
  });
  if (response.status !== 202) {
    throw new Error(`The event was answered ${response.status}: ${await response.text()}`);
  }
}

/** As Ctrl-C does: the whole group. */
async function end(npm: ChildProcess): Promise<void> {
  const ended = once(npm, 'exit');
  if (npm.pid !== undefined) {
    process.kill(-npm.pid, 'SIGINT');
  }
  await ended;
}
