import { describe, expect, it } from 'vitest';
import { findCircle, importsOf } from './imports.ts';

/** Each room, and the rooms that it may import: the table of src/README.md. Downward only, so nothing comes back up. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  functions: ['app', 'http', 'audit', 'events', 'tools'],
  app: ['services', 'settings', 'tools'],
  services: [
    ...['settings', 'background-worker', 'queue-watch', 'circuit-record', 'tools'],
    ...['http', 'adoption', 'audit', 'fleet', 'enrollment', 'events', 'storage', 'hub', 'dps'],
  ],
  'background-worker': ['adoption', 'audit', 'enrollment', 'events', 'tools'],
  http: ['adoption', 'audit', 'fleet', 'enrollment', 'events', 'storage', 'dps', 'circuit-record', 'tools'],
  adoption: ['audit', 'fleet', 'enrollment', 'events', 'storage', 'dps', 'tools'],
  audit: ['fleet', 'enrollment', 'events', 'storage', 'dps', 'tools'],
  fleet: ['enrollment', 'events', 'storage', 'tools'],
  enrollment: ['packaged-files', 'events', 'storage', 'hub', 'dps', 'tools'],
  'circuit-record': ['storage', 'tools'],
  'queue-watch': ['events', 'tools'],
  settings: ['hub', 'events', 'tools'],
  tools: ['events'],
  events: [],
  storage: ['tools'],
  hub: ['dps'],
  dps: [],
  'packaged-files': [],
  // Azure on localhost: the app does not know of it.
  local: ['local/dps', 'audit', 'events', 'dps', 'tools'],
  'local/dps': ['dps'],
};

/** Packages that one place speaks to for all others. `src/local` stands on the other side of the wire. */
const spokenToBy: readonly (readonly [RegExp, RegExp])[] = [
  [/^@azure\/functions$/, /^src\/functions\//],
  [/^undici$/, /^src\/dps\//],
  [/^@azure\/data-tables$/, /^src\/storage\/tables\.ts$/],
  [/^@azure\/service-bus$/, /^src\/(?:events\/event-bus\.ts|local\/)/],
  [/^@azure\/identity$/, /^src\/(?:services\.ts|local\/functions\/)/],
  [/^(?:d3-|qr$)/, /^src\/http\/pages\//],
  [/^rhea$/, /^src\/local\/servicebus\//],
  [/^(?:mqtt-packet|ws)$/, /^src\/local\/dps\//],
];

const imports = importsOf('src/**/*.ts');

function roomOf(file: string): string {
  const [, first = '', second = ''] = file.split('/');
  if (first === 'local' && second === 'dps') {
    return 'local/dps';
  }
  if (first.endsWith('.json')) {
    return 'packaged-files';
  }
  const name = first.replace(/\.ts$/, '');
  return name;
}

const told = ({ from, to }: { from: string; to: string }) => `${from} imports ${to}`;

describe('The house', () => {
  it('has no room that the table does not name', () => {
    const rooms = new Set(imports.map(({ from }) => roomOf(from)));
    expect([...rooms].filter((room) => !(room in mayImport))).toEqual([]);
    expect(imports.length).toBeGreaterThan(1000);
  });

  it('has no arrow but those of the table', () => {
    const wrong = imports.filter(({ from, to, isPackage }) => {
      const [room, target] = [roomOf(from), roomOf(to)];
      return !isPackage && room !== target && !mayImport[room]?.includes(target);
    });
    expect(wrong.map(told)).toEqual([]);
  });

  it('has no arrow in the table that no file needs', () => {
    const used = new Set(imports.map(({ from, to }) => `${roomOf(from)} > ${roomOf(to)}`));
    const unused = Object.entries(mayImport).flatMap(([room, targets]) =>
      targets
        .filter((each) => each !== 'tools' && !used.has(`${room} > ${each}`))
        .map((each) => `${room} > ${each}`),
    );
    expect(unused).toEqual([]);
  });

  it('never turns to Azure on localhost', () => {
    const wrong = imports.filter(
      ({ from, to, isPackage }) =>
        !isPackage && to.startsWith('src/local/') && !from.startsWith('src/local/'),
    );
    expect(wrong.map(told)).toEqual([]);
  });

  it('imports from src alone: no test, no infrastructure', () => {
    const wrong = imports.filter(({ to, isPackage }) => !isPackage && !to.startsWith('src/'));
    expect(wrong.map(told)).toEqual([]);
  });

  it.each(spokenToBy)('speaks to %s in one place', (name, place) => {
    const speakers = imports.filter(({ to, isPackage }) => isPackage && name.test(to));
    expect(speakers.length).toBeGreaterThan(0);
    expect(speakers.filter(({ from }) => !place.test(from)).map(told)).toEqual([]);
  });

  it('has no circle of files that load each other', () => {
    expect(findCircle(imports)).toBeUndefined();
  });
});

/** Each may import those before it. */
const floorsOfEnrollment = ['ledger', 'dps-access', 'hub-access', 'rejected', 'pipeline'];

describe('The rooms of src/enrollment', () => {
  const floorOf = (file: string) => floorsOfEnrollment.indexOf(file.split('/')[2] ?? '');

  it('are five, and every file lies in one', () => {
    const files = imports.map(({ from }) => from).filter((file) => file.startsWith('src/enrollment/'));
    expect(files.filter((file) => floorOf(file) < 0)).toEqual([]);
  });

  it('have no arrow that runs back up', () => {
    const wrong = imports.filter(
      ({ from, to, isPackage }) =>
        !isPackage &&
        from.startsWith('src/enrollment/') &&
        to.startsWith('src/enrollment/') &&
        floorOf(to) > floorOf(from),
    );
    expect(wrong.map(told)).toEqual([]);
  });
});

describe('The search for circles', () => {
  const arrows = (...pairs: string[]) =>
    pairs.map((pair) => ({ from: pair[0]!, to: pair[1]!, isPackage: false, isOfTypes: false }));

  it('finds one behind a file that was looked at before', () => {
    expect(findCircle(arrows('ab', 'ac', 'bd', 'cd', 'de', 'ec'))).toEqual(['d', 'e', 'c', 'd']);
  });

  it('takes two ways to a file for none', () => {
    expect(findCircle(arrows('ab', 'ac', 'bd', 'cd'))).toBeUndefined();
  });
});
