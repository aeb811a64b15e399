/** `npm run demo`: a factory shift through the whole system, once, on this machine. */

import { once } from 'node:events';
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';

import type { AuditReport } from '../audit/audit-report.ts';
import { DeviceProvisioningClient } from '../dps/client.ts';
import { eventKey } from '../events/event-identity.ts';
import { count, type DemoSummary, summaryText } from './demo/demo-summary.ts';
import { type EventJson, readEventFile, shiftTimes } from './demo/event-file.ts';
import { OutcomeListener } from './demo/outcome-listener.ts';
import { type Played, playShift } from './demo/play-shift.ts';
import { firstDay, nextDay, registerShiftDevices } from './demo/shift-devices.ts';
import { provisioningOf } from './devices/provisioning.ts';
import type { FleetResult } from './devices/register-fleet.ts';
import { startAppProcess } from './stack/app-process.ts';
import { commandLine } from './stack/command-line.ts';
import type { Endpoints } from './stack/endpoints.ts';
import { endWithNpm } from './stack/npm-watch.ts';
import { startStack } from './stack/stack.ts';

const outcomesWithinMs = 50_000;
const auditWithinMs = 50_000;
const project = path.resolve(import.meta.dirname, '../..');
const shiftFile = path.resolve(import.meta.dirname, 'demo/factory-shift.jsonl');
const nextDayFile = path.resolve(import.meta.dirname, 'demo/factory-next-day.jsonl');
const hoursBetweenDaysInMs = 20 * 3_600_000;

const usage = `Usage: npm run demo -- [options]     a factory shift through the whole system, once, on this machine
  --directory DIR  for the report, the summary and the app's log (.local/demo)
  --stay           goes on running when it has ended, until Ctrl-C, to be looked at`;

await commandLine(usage, async () => {
  endWithNpm();
  const { values } = parseArgs({
    options: {
      directory: { type: 'string', default: '.local/demo' },
      stay: { type: 'boolean', default: false },
    },
  });
  const startedAt = Date.now();
  step('Starting DPS, Service Bus, Storage and the function app on free ports …');
  const stack = await startStack();
  const app = await startAppProcess({ endpoints: stack.endpoints, output: 'pipe' });
  try {
    const directory = path.resolve(values.directory);
    mkdirSync(directory, { recursive: true });
    const log = createWriteStream(path.join(directory, 'app.log'));
    app.child.stdout?.pipe(log, { end: false });
    app.child.stderr?.pipe(log, { end: false });
    const summary = await playTwoDays(app.url, stack.endpoints, directory);
    console.log(summaryText(summary, (Date.now() - startedAt) / 1_000, values.stay ? app.url : undefined));
    if (values.stay) {
      await interrupted();
    }
  } finally {
    await app.stop();
    await stack.close();
  }
  process.exit(0);
});

function interrupted(): Promise<unknown> {
  return Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
}

async function playTwoDays(functions: string, endpoints: Endpoints, directory: string): Promise<DemoSummary> {
  const now = new Date();
  const events = shiftTimes(eventsOf(shiftFile), new Date(now.getTime() - hoursBetweenDaysInMs));
  const laterEvents = shiftTimes(eventsOf(nextDayFile), now);
  const client = DeviceProvisioningClient.fromConnectionString(endpoints.dps.connectionString);
  const listener = new OutcomeListener(endpoints.serviceBus.connectionString);
  try {
    step(`Playing ${events.length} events of ${path.relative(project, shiftFile)} …`);
    const played = await play(events, functions, endpoints, listener);
    step('Switching devices on: they register with DPS …');
    const devices = await registerShiftDevices(events, firstDay, client, provisioningOf(endpoints));
    await changeByHand(client, 'thermostat-0001');
    step('Running the audit …');
    const audit = await runAudit(functions, endpoints.keys.function);
    const dps = await enrollmentCounts(client);
    const outcomes = new Map(listener.outcomes);
    step(`The next day: ${laterEvents.length} events of ${path.relative(project, nextDayFile)} …`);
    await play(laterEvents, functions, endpoints, listener);
    await registerShiftDevices(laterEvents, nextDay, client, provisioningOf(endpoints));
    const nextAudit = await runAudit(functions, endpoints.keys.function);
    const report = await saveReport(functions, endpoints.keys.function, directory);
    const summary = summaryOf(events, played, outcomes, devices, audit, dps, nextAudit, report);
    writeFileSync(path.join(directory, 'summary.json'), `${JSON.stringify(summary, undefined, 2)}\n`);
    return summary;
  } finally {
    await listener.close();
    await client.close();
  }
}

function eventsOf(file: string): EventJson[] {
  return readEventFile(file).map((line) => JSON.parse(line) as EventJson);
}

async function play(
  events: readonly EventJson[],
  functions: string,
  endpoints: Endpoints,
  listener: OutcomeListener,
): Promise<Played> {
  const played = await playShift(events, functions, endpoints);
  const expected = new Set(played.queued.map(keyOf));
  step(`Waiting for the outcomes of ${expected.size} different events …`);
  await listener.until(
    (outcomes) => [...expected].every((key) => outcomes.has(key)),
    outcomesWithinMs,
    () =>
      `${[...expected].filter((key) => !listener.outcomes.has(key)).length} of ${expected.size} events have no outcome yet.`,
  );
  return played;
}

/** Somebody in a hurry, in the portal: the next audit names what differs. */
async function changeByHand(client: DeviceProvisioningClient, id: string): Promise<void> {
  const stored = await client.individualEnrollments.get(id);
  const { symmetricKey } = await client.individualEnrollments.getAttestationMechanism(id);
  const attestation = { type: 'symmetricKey' as const, ...(symmetricKey ? { symmetricKey } : {}) };
  const initialTwin = {
    ...stored.initialTwin,
    tags: { plant: 'brno', order: '450017', customer: 'Hotel Slavia' },
  };
  await client.individualEnrollments.createOrUpdate(
    { ...stored, attestation, initialTwin },
    { ifMatch: '*' },
  );
}

function summaryOf(
  events: readonly EventJson[],
  played: Played,
  seen: OutcomeListener['outcomes'],
  devices: readonly FleetResult[],
  audit: DemoSummary['audit'],
  dps: DemoSummary['dps'],
  nextAudit: DemoSummary['nextDay'],
  report: string,
): DemoSummary {
  const outcomes = [...seen.values()].filter(({ type }) => type.startsWith('enrollment.'));
  const ended = count(outcomes.map(({ type }) => type));
  const rejected = outcomes.filter(({ type }) => type === 'enrollment.rejected');
  return {
    events: {
      total: events.length,
      overHttp: played.overHttp,
      overQueue: played.overQueue,
      repeats: events.length - new Set(events.map(keyOf)).size,
    },
    refusedAtTheDoor: count(played.refused.map(({ reason }) => reason)),
    outcomes: {
      succeeded: ended['enrollment.succeeded'] ?? 0,
      superseded: ended['enrollment.superseded'] ?? 0,
      rejected: rejected.length,
      rejectedReasons: count(rejected.map(({ data }) => data.reason ?? '')),
      stillConnected: outcomes.flatMap(({ subject, data }) => (data.hubAccess && subject ? [subject] : [])),
    },
    dps,
    registrations: count(devices.map(({ status }) => status)),
    devices: {
      protocols: count(devices.map(({ protocol }) => protocol)),
      attestations: count(devices.map(({ attestation }) => attestation)),
    },
    audit,
    nextDay: nextAudit,
    report,
  };
}

async function runAudit(
  functions: string,
  key: string,
): Promise<DemoSummary['audit'] & DemoSummary['nextDay']> {
  const headers = { 'x-functions-key': key };
  const started = await fetch(`${functions}/api/audit/runs`, { method: 'POST', headers });
  const location = started.headers.get('location');
  if (started.status !== 202 || location === null) {
    throw new Error(`The audit did not start: ${await started.text()}`);
  }
  const deadline = Date.now() + auditWithinMs;
  for (;;) {
    const run = (await (await fetch(location, { headers })).json()) as AuditReport;
    if (run.status === 'finished') {
      const { id, operations, states, findings, changed } = run;
      const { new: found = 0, cameBack = 0, resolved = 0, stillOpen = 0 } = changed ?? {};
      return { id, operations, states, findings, new: found, cameBack, resolved, stillOpen };
    }
    if (run.status === 'failed' || Date.now() > deadline) {
      throw new Error(`The audit run ${run.id} is ${run.status}.`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** The page, with its looks in it, so that it can be opened as a file. */
async function saveReport(functions: string, key: string, directory: string): Promise<string> {
  const headers = { accept: 'text/html', 'x-functions-key': key };
  const page = await (await fetch(`${functions}/api/audit`, { headers })).text();
  const style = await (await fetch(`${functions}/fleet/assets/fleet.css`)).text();
  const whole = page
    .replace(/<link rel="stylesheet"[^>]*>/, () => `<style>${style}</style>`)
    .replace(/<script [^>]*><\/script>|<link rel="icon"[^>]*>/g, '');
  const file = path.join(directory, 'audit.html');
  writeFileSync(file, whole);
  return file;
}

async function enrollmentCounts(client: DeviceProvisioningClient): Promise<DemoSummary['dps']> {
  let individualEnrollments = 0;
  let disabled = 0;
  for await (const { provisioningStatus } of client.individualEnrollments.query()) {
    individualEnrollments++;
    if (provisioningStatus === 'disabled') {
      disabled++;
    }
  }
  let enrollmentGroups = 0;
  for await (const _ of client.enrollmentGroups.query()) {
    enrollmentGroups++;
  }
  return { individualEnrollments, disabled, enrollmentGroups };
}

function keyOf({ source, id, subject }: EventJson): string {
  return eventKey(String(source), String(id), String(subject));
}

function step(text: string): void {
  console.log(text);
}
