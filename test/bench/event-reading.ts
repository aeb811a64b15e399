/** What reading and evaluating one event costs, beside JSON.parse, the schema of its data and its identity alone. */

import { loadProfiles } from '../../src/enrollment/ledger/profiles.ts';
import { evaluateEvent } from '../../src/enrollment/pipeline/event-evaluation.ts';
import { definitionSchema } from '../../src/events/event-data-schema.ts';
import { eventFingerprint, eventKey } from '../../src/events/event-identity.ts';
import { parseInstant } from '../../src/events/instant.ts';
import { readEventText } from '../../src/events/read-event.ts';
import type { Report } from './figure.ts';

const rounds = 9;
const perRound = 4_000;
/**
 * Before it was strict, reading and judging these events cost 1.55 times this baseline (commit 1597f71^, measured in one run
 * with it, Node 24.21); it may cost 1.3 times that.
 */
const goal = 1.3 * 1.55;

export async function run(report: Report): Promise<void> {
  const texts = Array.from({ length: 50 }, (_, index) => eventOf(index, 2_048));
  const profiles = loadProfiles(undefined);
  const now = new Date();
  const plain = (text: string) => {
    const { source, id, type, subject, time, data } = JSON.parse(text);
    eventKey(source, id, subject);
    eventFingerprint(type, subject, parseInstant(time) ?? time, data);
    if (!definitionSchema.safeParse(data).success) {
      throw new Error('The schema refuses the event.');
    }
  };
  const ours = (text: string) => {
    const evaluation = evaluateEvent(readEventText(text, now), profiles, now);
    if (evaluation.rejection) {
      throw new Error(evaluation.rejection.detail);
    }
  };
  const [value, baseline] = best(texts, ours, plain);
  report({
    name: 'reading and evaluating an event of 2 KB',
    value: value * 1_000,
    unit: 'µs',
    baseline: baseline * 1_000,
    ratio: value / baseline,
    goal: `at most ${goal.toFixed(2)} times`,
    met: value / baseline <= goal,
  });
  const long = [1, 2].map((size) =>
    Array.from({ length: 5 }, (_, index) => eventOf(index, size * 90 * 1_024)),
  );
  let [once, twice] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < rounds; round++) {
    once = Math.min(once, time(long[0] ?? [], ours, 10));
    twice = Math.min(twice, time(long[1] ?? [], ours, 10));
  }
  report({
    name: 'evaluating an event of 180 KiB, beside one of 90 KiB',
    value: twice * 1_000,
    unit: 'µs',
    baseline: once * 1_000,
    ratio: twice / once,
    goal: 'at most 2.5 times',
    met: twice / once <= 2.5,
  });
}

function eventOf(index: number, bytes: number): string {
  const event = {
    specversion: '1.0',
    id: `bench-${index}`,
    source: '/factories/bench/line-1',
    type: 'com.contoso.mes.device.manufactured',
    subject: `thermostat-${String(index).padStart(6, '0')}`,
    time: '2026-11-23T06:00:00.123Z',
    datacontenttype: 'application/json',
    data: {
      product: 'thermostat-g2',
      batch: '2026-W47-L3',
      tags: { plant: 'brno', line: { name: 'L3', shift: 2 }, tests: [1.5, 2.25, 3] },
      desired: { interval: 30, modes: ['comfort', 'eco'], limits: { high: 27.5, low: 12 } },
      deviceInformation: {} as Record<string, string>,
    },
  };
  const note = 'Passed the final test at station 7 without a remark. ';
  for (let name = 0; JSON.stringify(event).length < bytes; name++) {
    event.data.deviceInformation[`note${name}`] = note.repeat(4);
  }
  return JSON.stringify(event);
}

/** The fastest of several rounds of each, in turns: what else the machine does disturbs both. */
function best(texts: readonly string[], ours: (text: string) => void, plain: (text: string) => void) {
  let [ourBest, plainBest] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < rounds; round++) {
    plainBest = Math.min(plainBest, time(texts, plain, perRound));
    ourBest = Math.min(ourBest, time(texts, ours, perRound));
  }
  return [ourBest, plainBest] as const;
}

/** Milliseconds a call. */
function time(texts: readonly string[], work: (text: string) => void, calls: number): number {
  const start = performance.now();
  for (let call = 0; call < calls; call++) {
    work(texts[call % texts.length] ?? '');
  }
  return (performance.now() - start) / calls;
}
