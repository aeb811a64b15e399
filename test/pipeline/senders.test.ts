import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadSenders, sendersJsonSchema } from '../../src/enrollment/pipeline/senders.ts';
import { readEventText } from '../../src/events/read-event.ts';
import { readSettings } from '../../src/settings.ts';
import { settingsOfNothing } from '../support/cold-start-process.ts';
import { event } from '../support/events.ts';
import { testSecret } from '../support/webhooks.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'senders-'));
afterAll(() => rmSync(directory, { recursive: true }));

function sendersFile(content: unknown): string {
  const file = path.join(directory, `${Math.random()}.json`);
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

const brno = { sources: ['/factories/brno/*'], types: ['device.*'], products: ['thermostat-*'] };
const loaded = (sender: object) => loadSenders(sendersFile({ sender })).get('sender')!;

function beyond(sender: object, source: string, type: string, product?: string): string | undefined {
  const data = product === undefined ? undefined : { product };
  const read = readEventText(JSON.stringify(event(type, 'thermostat-1', data, { source })), new Date());
  if (read.kind !== 'event') {
    throw new Error('This is no event.');
  }
  return loaded(sender).violation(read.event)?.pointer;
}

describe('A sender may send', () => {
  const plain = (source: string, type: string, product?: string) => beyond(brno, source, type, product);

  it('what fits a source, a type and a product of its patterns', () => {
    expect(plain('/factories/brno/l1', 'device.manufactured', 'thermostat-g2')).toBeUndefined();
    expect(plain('/factories/gdansk/l1', 'device.manufactured', 'thermostat-g2')).toBe('/source');
    expect(plain('/factories/brno', 'device.manufactured', 'thermostat-g2')).toBe('/source');
    expect(plain('/factories/brno/l1', 'batch.started', 'thermostat-g2')).toBe('/type');
    expect(plain('/factories/brno/l1', 'device.changed', 'gateway-e1')).toBe('/data/product');
    expect(plain('/factories/brno/l1', 'device.changed', 'Thermostat-g2')).toBe('/data/product');
  });

  it('types by what they mean, whatever stands before', () => {
    const source = '/factories/brno/l1';
    expect(plain(source, 'com.contoso.mes.device.manufactured', 'thermostat-g2')).toBeUndefined();
    expect(plain(source, 'device.contoso.batch.held')).toBe('/type');
    const one = { ...brno, types: ['device.held', 'batch.*'] };
    expect(beyond(one, source, 'com.contoso.device.held')).toBeUndefined();
    expect(beyond(one, source, 'batch.retired')).toBeUndefined();
    expect(beyond(one, source, 'device.scrapped')).toBe('/type');
  });

  it('of events that have no product what fits the rest', () => {
    expect(plain('/factories/brno/l1', 'device.held')).toBeUndefined();
  });

  it('everything where the patterns say so, exact names where they do', () => {
    const all = { sources: ['*'], types: ['*'], products: ['*'] };
    expect(beyond(all, '/erp', 'batch.started', 'beacon-b2')).toBeUndefined();
    const exact = { ...all, sources: ['/erp'], products: ['beacon-b2'] };
    expect(beyond(exact, '/erp', 'batch.started', 'beacon-b2')).toBeUndefined();
    expect(beyond(exact, '/erp/1', 'batch.started', 'beacon-b2')).toBe('/source');
    expect(beyond(exact, '/erp', 'batch.started', 'beacon-b22')).toBe('/data/product');
  });
});

describe('The senders file', () => {
  it('has a JSON Schema for editors beside the packaged one, made from the schema that validates', () => {
    expect(JSON.parse(readFileSync('src/senders.schema.json', 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(sendersJsonSchema())),
    );
    expect([...loadSenders(undefined).keys()]).toEqual(['brno-mes']);
  });

  it('may be empty: nobody sends', () => {
    expect(loadSenders(sendersFile({})).size).toBe(0);
  });

  it.each([
    ['no JSON', '{', /cannot be read as JSON/],
    ['a list', [], /expected object/],
    ['a sender in upper case', { Brno: brno }, /Brno must be 1 to 60 lower-case/],
    ['a sender with an underscore', { brno_mes: brno }, /brno_mes must be/],
    ['no products', { brno: { ...brno, products: undefined } }, /brno\.products/],
    ['no source at all', { brno: { ...brno, sources: [] } }, /brno\.sources must name at least one/],
    ['a star in the middle', { brno: { ...brno, sources: ['/a/*/b'] } }, /brno\.sources\.0 must be a name/],
    ['a type that is none', { brno: { ...brno, types: ['device.made'] } }, /brno\.types\.0 fits none of/],
    ['an unknown member', { brno: { ...brno, color: 1 } }, /color/],
  ])('with %s stops the start with one line that says where', (_, content, message) => {
    const file = sendersFile(content);
    expect(() => loadSenders(file)).toThrow(message);
    expect(() => loadSenders(file)).toThrow(file);
  });
});

describe('The settings of webhooks', () => {
  const read = (more: Record<string, string>) => readSettings({ ...settingsOfNothing, ...more });

  it('are the keys of each sender, several where they are being exchanged', () => {
    const { webhookSecrets, sendersFile: file } = read({
      WEBHOOK_SECRETS_BRNO_MES: ` ${testSecret(1)}  ${testSecret(2, 24)} `,
      WEBHOOK_SECRETS_ERP: '',
    });
    expect(file).toBeUndefined();
    expect([...webhookSecrets]).toEqual([
      ['WEBHOOK_SECRETS_BRNO_MES', [Buffer.alloc(32, 1), Buffer.alloc(24, 2)]],
    ]);
  });

  it('leave out a sender whose secret the key vault does not have yet', () => {
    const reference =
      '@Microsoft.KeyVault(SecretUri=https://kv.vault.azure.net/secrets/webhook-secrets-brno-mes)';
    expect(read({ WEBHOOK_SECRETS_BRNO_MES: reference }).webhookSecrets.size).toBe(0);
  });

  it('stop the start where they are wrong, with one line that names the setting and never shows the secret', () => {
    expect(() => read({ SENDERS: '/nowhere.json' })).toThrow(/^SENDERS names the file/);
    const good = testSecret(65);
    const hidden = good.slice(6, 20);
    for (const bad of [
      hidden,
      good.slice(6),
      `${good}!`,
      `${good},${good}`,
      `${good} ${testSecret(65, 16)}`,
      testSecret(65, 65),
      good.replace('=', ''),
    ]) {
      try {
        read({ WEBHOOK_SECRETS_BRNO_MES: bad });
        expect.unreachable();
      } catch (error) {
        expect(String(error)).toMatch(
          /^SettingsError: WEBHOOK_SECRETS_BRNO_MES must be secrets like whsec_…, [^\n]+$/,
        );
        expect(String(error)).not.toContain(hidden);
      }
    }
  });
});
