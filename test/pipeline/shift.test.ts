import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DemoSummary } from '../../src/local/demo/demo-summary.ts';
import { readEventFile, shiftTimes } from '../../src/local/demo/event-file.ts';
import { Chain } from '../support/chain.ts';
import { keyOf, type TestEvent } from '../support/events.ts';
import { Random } from '../support/random.ts';

const shiftFile = path.resolve('src/local/demo/factory-shift.jsonl');

function shift(): TestEvent[] {
  const events = readEventFile(shiftFile).map((line) => JSON.parse(line));
  return shiftTimes(events, new Date()) as unknown as TestEvent[];
}

const kindOf = (event: TestEvent) => event.type.split('.').slice(-2).join('.');
const isAbout = (pattern: RegExp) => (event: TestEvent) => pattern.test(event.subject);

describe('npm run demo', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'demo-'));
  let summary: DemoSummary;
  let printed: string;
  beforeAll(async () => {
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, ['src/local/demo.ts', '--directory', directory]);
    printed = stdout;
    summary = JSON.parse(readFileSync(path.join(directory, 'summary.json'), 'utf8'));
  }, 90_000);
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('counts what went in as the shift file has it', () => {
    const events = shift();
    const overHttp = events.filter(({ source }) => source.includes('brno'));
    const different = new Set(events.map(keyOf));
    expect(summary.events).toEqual({
      total: events.length,
      overHttp: overHttp.length,
      overQueue: events.length - overHttp.length,
      repeats: events.length - different.size,
    });
    expect(overHttp.length / events.length).toBeGreaterThan(0.4);
    expect(overHttp.length / events.length).toBeLessThan(0.6);
  });

  it('ends every event as the shift implies', () => {
    // By hand, from the story that the file tells.
    expect(summary.refusedAtTheDoor).toEqual({ 'invalid-registration-id': 1, 'unknown-type': 1 });
    expect(summary.outcomes.rejectedReasons).toEqual({
      'unknown-product': 1,
      'invalid-data': 1,
      'invalid-attestation': 1,
      'certificate-expired': 1,
      'device-scrapped': 1,
    });
    // How many more are overtaken before they have ended is a matter of pace.
    expect(summary.outcomes.superseded).toBeGreaterThanOrEqual(1);
    const ended = new Set(shift().map(keyOf)).size - 2;
    expect(summary.outcomes.succeeded + summary.outcomes.superseded).toBe(ended - 5);
    expect(summary.outcomes.rejected).toBe(5);
  });

  it('leaves in DPS what the shift says', () => {
    // 16 thermostats but for the scrapped 0009, 5 gateways, 4 meters; blocked: sensor 0005, beacons 0003 and 0009.
    expect(summary.dps).toEqual({
      individualEnrollments: 15 + 5 + 4 + 3,
      disabled: 2 + 3,
      enrollmentGroups: 2,
    });
  });

  it('registers the devices that were switched on, and refuses those that are held or scrapped', () => {
    const made = new Set(
      shift()
        .filter((event) => kindOf(event) === 'device.manufactured')
        .filter(isAbout(/^(thermostat|gateway|meter|sensor|beacon)-\d{4}$/))
        .map(({ subject }) => subject),
    );
    const total = Object.values(summary.registrations).reduce((sum, times) => sum + times, 0);
    expect(total).toBe(made.size - 5 + 1);
    expect(summary.registrations.disabled).toBe(5);
    expect(summary.registrations.assigned).toBe(total - 5 - (summary.registrations.unauthorized ?? 0));
  });

  it('switches devices on over all protocols, with every kind of attestation', () => {
    expect(Object.keys(summary.devices.protocols).sort()).toEqual(['http', 'mqtt', 'mqtt-ws']);
    expect(summary.devices.attestations).toMatchObject({
      symmetricKey: expect.any(Number),
      x509: 16,
      tpm: 3,
    });
    expect(printed).toContain(' mqtt-ws');
  });

  it('finds in the audit who never came and whom nobody made', () => {
    const codes = (code: string) =>
      summary.audit.findings
        .filter((each) => each.code === code)
        .map(({ subject }) => subject)
        .sort();
    expect(codes('registered-but-unknown')).toEqual(['beacon-9999']);
    // Of those in boxes, only the meter is there for longer than its profile grants.
    expect(codes('never-registered')).toEqual(['meter-0004']);
    expect(codes('enrollment-differs')).toEqual(['thermostat-0001']);
    expect(summary.audit.findings).toHaveLength(3);
    expect(summary.audit.states.assigned).toBe(summary.registrations.assigned);
  });

  it('tells on the next day what is new and what is resolved', () => {
    // New: nobody made beacon 9998; gateway 0003 is held. Resolved: beacon 9999 was made after all, the meter switched on.
    expect(summary.nextDay).toMatchObject({ new: 2, cameBack: 0, resolved: 2, stillOpen: 1 });
  });

  it('prints the summary and where the report lies', () => {
    expect(printed).toContain(`Report           ${summary.report}`);
    expect(printed).toContain(`succeeded      ${summary.outcomes.succeeded}`);
    const report = readFileSync(summary.report, 'utf8');
    expect(report).toContain('beacon-9998');
    expect(report).not.toContain('href="/fleet/assets');
  });
});

describe('the shift in another order, with repeats', () => {
  it.each([1, 2, 3])('ends in the same state of DPS (seed %i)', async (seed) => {
    const events = shift();
    const random = new Random(seed);
    const inOrder = await Chain.start();
    const shuffled = await Chain.start();
    try {
      const repeated = random.shuffled([...events, ...events.filter(() => random.chance(0.3))]);
      await Promise.all([inOrder.sendToQueue(events), shuffled.sendToQueue(repeated)]);
      await Promise.all([inOrder.ended(events), shuffled.ended(events)]);
      expect(await shuffled.stateOfDps()).toEqual(await inOrder.stateOfDps());
    } finally {
      await Promise.all([inOrder.close(), shuffled.close()]);
    }
  });
});

describe('an app that is killed and started again in the middle of the shift', () => {
  it('loses nothing and doubles nothing', async () => {
    const events = shift();
    const chain = await Chain.start();
    const undisturbed = await Chain.start();
    try {
      await Promise.all([chain.sendToQueue(events), undisturbed.sendToQueue(events)]);
      for (const share of [0.1, 0.4, 0.7]) {
        const enough = Math.ceil(events.length * share);
        await chain.listener.until(
          (outcomes) => outcomes.size >= enough,
          40_000,
          () => 'too few outcomes before the kill',
        );
        await chain.killApp();
        await chain.startApp();
        // What the killed app held comes back when its locks have run out.
        chain.advance(61_000);
      }
      await Promise.all([chain.ended(events), undisturbed.ended(events)]);
      expect(await chain.stateOfDps()).toEqual(await undisturbed.stateOfDps());
      expect(chain.listener.outcomes.size).toBe(undisturbed.listener.outcomes.size);
      // Whether an event has ended before a newer one overtakes it is a matter of pace.
      const ends = (each: Chain) =>
        [...each.listener.outcomes.values()]
          .map(({ id, type }) => `${id} ${type.replace(/succeeded|superseded/, 'done')}`)
          .sort();
      expect(ends(chain)).toEqual(ends(undisturbed));
    } finally {
      await Promise.all([chain.close(), undisturbed.close()]);
    }
  });
});
