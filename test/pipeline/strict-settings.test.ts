import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { redact } from '../../src/dps/redaction.ts';
import { loadProfiles } from '../../src/enrollment/ledger/profiles.ts';
import { loadSenders } from '../../src/enrollment/pipeline/senders.ts';
import { readEventFile } from '../../src/local/demo/event-file.ts';
import { initialConfiguration } from '../../src/local/dps/defaults.ts';
import { openJournal } from '../../src/local/dps/journal.ts';
import { EmulatorState } from '../../src/local/dps/state.ts';
import { readSettings } from '../../src/settings.ts';
import { settingsOfNothing } from '../support/cold-start-process.ts';
import { manufactured } from '../support/events.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'strict-'));
afterAll(() => rmSync(directory, { recursive: true }));
let files = 0;

function file(content: string | Uint8Array): string {
  const name = path.join(directory, `${++files}.json`);
  writeFileSync(name, content);
  return name;
}

const profile = (initialTwin: object) =>
  JSON.stringify({ profiles: [{ product: 'x-*', enrollment: 'individual', initialTwin }] });

describe('Files of settings', () => {
  it('may begin with a byte order mark', () => {
    const profiles = loadProfiles(file(`\uFEFF${profile({})}`));
    expect(profiles.for('x-1')?.enrollment).toBe('individual');
    const sender = { sources: ['*'], types: ['*'], products: ['*'], subjects: ['x-*'] };
    expect([...loadSenders(file(`\uFEFF${JSON.stringify({ mes: sender })}`)).keys()]).toEqual(['mes']);
  });

  it.each([
    ['Latin-1', Buffer.from(profile({ tags: { city: 'Zürich' } }), 'latin1'), 'UTF-8'],
    [
      'a number that loses digits',
      profile({}).replace('{}', '{"tags":{"a":9007199254740993}}'),
      '/profiles/0/initialTwin/tags/a',
    ],
    ['a dot in a name', profile({ tags: { 'a.b': 1 } }), 'initialTwin.tags.a.b'],
    [
      'twelve levels',
      profile({ properties: { desired: JSON.parse(`${'{"a":'.repeat(12)}1${'}'.repeat(12)}`) } }),
      'levels',
    ],
    [
      '9 KB of tags',
      profile({ tags: Object.fromEntries(Array.from({ length: 90 }, (_, i) => [`t${i}`, 'x '.repeat(48)])) }),
      'bytes',
    ],
  ])('stop the start where a hub or this runtime would change them: %s', (_what, content, message) => {
    expect(() => loadProfiles(file(content))).toThrow(message);
  });
});

describe('A setting', () => {
  const read = (more: Record<string, string>) => readSettings({ ...settingsOfNothing, ...more });

  it('ServiceBusConnection must not name one entity', () => {
    const ServiceBusConnection =
      'Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=a;SharedAccessKey=b;EntityPath=manufacturing-events';
    expect(() => read({ ServiceBusConnection })).toThrow(/^ServiceBusConnection has an EntityPath/);
  });

  it.each([
    '0 0 4 * * *',
    '0 */10 * * * Monday',
    '0 0 4 1,15 jan-Mar 1-5',
    '0 0 4 * * mon',
    '24:00:00',
    '1.00:00:00',
  ])('AUDIT_SCHEDULE may be %j, as the Functions host has it', (AuditSchedule) => {
    expect(read({ AUDIT_SCHEDULE: AuditSchedule }).auditSchedule).toBe(AuditSchedule);
  });

  it.each([
    '0 0 4 ? * *',
    '0 0 4 L * *',
    '0 0 4 15W * *',
    '0 0 4 * * 7',
    '0 0 24 * * *',
    '0 0 4 * *',
    '0 0 4 0 * *',
    '0 0 4 * * */0',
    '@daily',
  ])('AUDIT_SCHEDULE must not be %j, which stops the host from indexing', (AuditSchedule) => {
    expect(() => read({ AUDIT_SCHEDULE: AuditSchedule })).toThrow(/^AUDIT_SCHEDULE must be NCRONTAB/);
  });
});

describe('A file of events', () => {
  it('in Latin-1, or with a number that would lose digits, is not sent', () => {
    const event = manufactured('thermostat-1', { tags: { city: 'Zürich' } });
    expect(() => readEventFile(file(Buffer.from(JSON.stringify(event), 'latin1')))).toThrow('not UTF-8');
    expect(() => readEventFile(file('[{"data":{"iccid":8949020000123456789}}]'))).toThrow('/0/data/iccid');
    expect(readEventFile(file(`\uFEFF${JSON.stringify([event])}`))).toEqual([JSON.stringify(event)]);
  });
});

it('The journal of the DPS emulator is its owner’s alone', async () => {
  const own = path.join(directory, 'dps');
  const journal = await openJournal(own, new EmulatorState(initialConfiguration));
  journal.close();
  expect(statSync(own).mode & 0o777).toBe(0o700);
  expect(statSync(path.join(own, 'dps-emulator.jsonl')).mode & 0o777).toBe(0o600);
});

describe('What DPS says of a request', () => {
  const key = Buffer.from(Array.from({ length: 64 }, (_, index) => (index * 37 + 11) % 256)).toString(
    'base64',
  );
  const sent = JSON.stringify({ attestation: { symmetricKey: { primaryKey: key, secondaryKey: key } } });
  const bytes = Buffer.from(key, 'base64');

  it.each([
    ['whole', key],
    ['unpadded', key.replace(/=+$/, '')],
    ['base64url', bytes.toString('base64url')],
    ['hex', bytes.toString('hex')],
    ['hex in capitals', bytes.toString('hex').toUpperCase()],
    ['percent-encoded', encodeURIComponent(key)],
    [
      'percent-encoded in small letters',
      encodeURIComponent(key).replace(/%../g, (each) => each.toLowerCase()),
    ],
    ['its first 16 characters', key.slice(0, 16)],
    ['its middle', key.slice(20, 44)],
    ['its end', key.slice(-12)],
  ])('loses a key that was sent, %s', (_what, form) => {
    const said = redact(`The value '${form}' is not acceptable.`, sent);
    for (let start = 0; start + 8 <= form.length; start++) {
      expect(said).not.toContain(form.slice(start, start + 8));
    }
    expect(said).toMatch(/^The value '.*' is not acceptable\.$/);
  });
});
