import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  EnrollmentProfiles,
  loadProfiles,
  profilesJsonSchema,
} from '../../src/enrollment/ledger/profiles.ts';
import { readSettings } from '../../src/settings.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'profiles-'));
afterAll(() => rmSync(directory, { recursive: true }));

function profilesFile(content: unknown): string {
  const file = path.join(directory, `${Math.random()}.json`);
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

describe('enrollment profiles', () => {
  it('are matched by exact name first, then by the longest prefix', () => {
    const profiles = new EnrollmentProfiles([
      { product: '*', enrollment: 'individual', attestation: 'tpm' },
      { product: 'a-*', enrollment: 'individual' },
      { product: 'a-b-*', enrollment: 'group' },
      { product: 'a-b-c', enrollment: 'individual', attestation: 'x509' },
    ]);
    expect(profiles.for('a-b-c')?.attestation).toBe('x509');
    expect(profiles.for('a-b-cd')?.enrollment).toBe('group');
    expect(profiles.for('a-x')?.product).toBe('a-*');
    expect(profiles.for('z')?.attestation).toBe('tpm');
  });

  it('have a JSON Schema for editors beside the packaged file, made from the schema that validates', () => {
    expect(JSON.parse(readFileSync('src/enrollment-profiles.schema.json', 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(profilesJsonSchema())),
    );
  });

  it.each([
    ['no JSON', '{', /cannot be read as JSON/],
    ['an unknown member', { profiles: [{ product: 'a', enrollment: 'individual', color: 1 }] }, /color/],
    ['an unknown kind', { profiles: [{ product: 'a', enrollment: 'both' }] }, /enrollment/],
    [
      'a product twice',
      {
        profiles: [
          { product: 'a', enrollment: 'individual' },
          { product: 'a', enrollment: 'group' },
        ],
      },
      /second time/,
    ],
    ['a star in the middle', { profiles: [{ product: 'a*b', enrollment: 'individual' }] }, /product/],
    ['a TPM group', { profiles: [{ product: 'a', enrollment: 'group', attestation: 'tpm' }] }, /tpm/],
  ])('with %s stop the start with one line that says where', (_, content, message) => {
    expect(() => loadProfiles(profilesFile(content))).toThrow(message);
  });
});

describe('settings', () => {
  const complete = {
    DPS_ENDPOINT: 'https://contoso.azure-devices-provisioning.net',
    ServiceBusConnection__fullyQualifiedNamespace: 'contoso.servicebus.windows.net',
    AzureWebJobsStorage__accountName: 'contoso',
  };

  it('have defaults', () => {
    expect(readSettings(complete)).toMatchObject({
      operationsPerMinute: 1_000,
      auditSchedule: '0 0 4 * * *',
      auditQuotaShare: 0.3,
      eventRetentionDays: 400,
      tables: { identity: { endpoint: 'https://contoso.table.core.windows.net' } },
    });
  });

  it.each([
    ['DPS_ENDPOINT', '', /^DPS_ENDPOINT is missing/],
    ['DPS_ENDPOINT', 'contoso', /^DPS_ENDPOINT must be like https/],
    [
      'ServiceBusConnection__fullyQualifiedNamespace',
      '',
      /^ServiceBusConnection__fullyQualifiedNamespace is missing/,
    ],
    ['AzureWebJobsStorage__accountName', '', /^TableStorage__tableServiceUri is missing/],
    ['DPS_OPERATIONS_PER_MINUTE', 'many', /^DPS_OPERATIONS_PER_MINUTE must be a whole number/],
    ['AUDIT_QUOTA_SHARE', '1.5', /^AUDIT_QUOTA_SHARE must be a number between 0 and 1/],
    ['AUDIT_SCHEDULE', 'daily', /^AUDIT_SCHEDULE must be NCRONTAB/],
    ['ENROLLMENT_PROFILES', '/nowhere.json', /^ENROLLMENT_PROFILES names the file/],
  ])('%s = "%s" stops the start with one line that names it', (name, value, message) => {
    expect(() => readSettings({ ...complete, [name]: value })).toThrow(message);
  });

  it('never repeat a key in what they complain about', () => {
    const secret = 'c2VjcmV0';
    try {
      readSettings({ ...complete, DPS_ENDPOINT: '', DPS_CONNECTION_STRING: `SharedAccessKey=${secret}` });
      expect.unreachable();
    } catch (error) {
      expect(String(error)).toContain('DPS_CONNECTION_STRING lacks HostName');
      expect(String(error)).not.toContain(secret);
    }
  });
});
