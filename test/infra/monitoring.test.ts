import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { manufacturingEventsQueue } from '../../src/events/messaging-entities.ts';
import { tableNames } from '../../src/storage/table-names.ts';
import { deployments, describeBicep, infra, ofType, onlyOne } from '../support/bicep.ts';

/** What sends its logs by itself, or has none. */
const withoutDiagnostics = [
  'Microsoft.Resources/resourceGroups',
  'Microsoft.ManagedIdentity/userAssignedIdentities',
  'Microsoft.Authorization/roleAssignments',
  'Microsoft.Insights/', // Application Insights writes to the workspace; alerts have no logs of their own
  'Microsoft.Network/privateDnsZones',
  'Microsoft.Network/privateEndpoints',
];

const diagnosticsOf = (id: string) =>
  id.replace(/\/providers\/Microsoft\.Insights\/diagnosticSettings\/.*$/, '');

describeBicep('Diagnostic settings', () => {
  const evaluated = deployments('plain', 'isolated', 'brought-along', 'hubs');

  it('are on every resource that has logs or metrics, to one workspace', () => {
    for (const deployment of Object.values(evaluated)) {
      const settings = ofType(deployment, 'Microsoft.Insights/diagnosticSettings');
      const covered = new Set(settings.map(({ id }) => diagnosticsOf(id)));
      const needed = deployment.resources.filter(
        ({ type }) =>
          type.split('/').length === 2 && !withoutDiagnostics.some((exempt) => type.startsWith(exempt)),
      );
      expect(needed.length).toBeGreaterThanOrEqual(4);
      for (const { id } of needed) expect(covered).toContain(id);
      expect(new Set(settings.map(({ properties }) => properties.workspaceId)).size).toBe(1);
    }
  });

  it('are on the DPS and the Service Bus that were brought along, too, to the workspace that was', () => {
    const settings = ofType(evaluated['brought-along'], 'Microsoft.Insights/diagnosticSettings');
    const on = settings.map(({ id }) => path.posix.basename(diagnosticsOf(id)));
    expect(on).toEqual(expect.arrayContaining(['dps-contoso', 'sb-contoso']));
    for (const { properties } of settings) expect(properties.workspaceId).toMatch(/\/log-contoso$/);
  });

  it("bring DPS's device and service operations", () => {
    for (const deployment of Object.values(evaluated)) {
      const [dps] = ofType(deployment, 'Microsoft.Insights/diagnosticSettings').filter(({ id }) =>
        id.includes('/Microsoft.Devices/provisioningServices/'),
      );
      expect(dps?.properties.logs).toEqual([
        { category: 'DeviceOperations', enabled: true },
        { category: 'ServiceOperations', enabled: true },
      ]);
    }
  });
});

describeBicep('Alerts', () => {
  const evaluated = deployments('plain', 'isolated', 'brought-along');
  const alertsOf = (deployment: (typeof evaluated)['plain']) => [
    ...ofType(deployment, 'Microsoft.Insights/metricAlerts'),
    ...ofType(deployment, 'Microsoft.Insights/scheduledQueryRules'),
  ];
  const kindOf = (name: string) => name.replace(/-[a-z0-9]{13}$/, '');

  it('are those that the README says what to do about', () => {
    const readme = readFileSync(path.join(infra, 'README.md'), 'utf8');
    const section = /\n## Alerts\n(.*?)\n## /s.exec(readme)?.[1] ?? '';
    const listed = [...section.matchAll(/^\| ([a-z, -]+) \|/gm)].flatMap(
      (row) => row[1]?.trim().split(', ') ?? [],
    );
    for (const deployment of Object.values(evaluated)) {
      const names = alertsOf(deployment).map(({ name }) => kindOf(name));
      expect(names.sort()).toEqual(
        listed.filter((name) => name !== 'alert' && !name.startsWith('--')).sort(),
      );
    }
  });

  it('are on, watch a resource that is there, and reach the action group', () => {
    for (const deployment of Object.values(evaluated)) {
      const group = onlyOne(deployment, 'Microsoft.Insights/actionGroups').id;
      const there = new Set(deployment.resources.map(({ id }) => id));
      for (const { name, properties } of alertsOf(deployment)) {
        expect(properties.enabled).toBe(true);
        expect(JSON.stringify(properties.actions)).toContain(`"${group}"`);
        const [scope] = properties.scopes;
        expect(there.has(scope) || /-contoso$/.test(scope), `${name}: ${scope}`).toBe(true);
      }
    }
  });

  it('are mailed to the address that was given, and to nobody by default', () => {
    const mailedTo = (deployment: (typeof evaluated)['plain']) =>
      onlyOne(deployment, 'Microsoft.Insights/actionGroups').properties.emailReceivers.map(
        (receiver: { emailAddress: string }) => receiver.emailAddress,
      );
    expect(mailedTo(evaluated.plain)).toEqual([]);
    expect(mailedTo(evaluated.isolated)).toEqual(['operators@example.com']);
  });

  it('look for words that the code writes, among what this app wrote', () => {
    const code = globSync('**/*.ts', { cwd: path.join(infra, '../src') })
      .map((file) => readFileSync(path.join(infra, '../src', file), 'utf8'))
      .join('\n');
    const app = onlyOne(evaluated.plain, 'Microsoft.Insights/components').id;
    const dps = onlyOne(evaluated.plain, 'Microsoft.Devices/provisioningServices').id;
    const words = new Set<string>();
    for (const { properties } of ofType(evaluated.plain, 'Microsoft.Insights/scheduledQueryRules')) {
      const query: string = properties.criteria.allOf[0].query;
      if (/App(?:Traces|Requests)/.test(query)) expect(query).toContain(`_ResourceId =~ "${app}"`);
      if (/AzureDiagnostics/.test(query)) expect(query).toContain(`_ResourceId =~ "${dps}"`);
      for (const [, list] of query.matchAll(/Message has(?:_any)? \(?([^)\n]*)/g))
        for (const [, word] of (list ?? '').matchAll(/"([^"]+)"/g)) words.add(word ?? '');
    }
    expect(words.size).toBeGreaterThanOrEqual(6);
    for (const word of words) expect(code, word).toMatch(new RegExp(`log\\([^;]*['\`]${word}\\b`));
  });

  it('see rejected events in the table that they are kept in', () => {
    const rule = ofType(evaluated.plain, 'Microsoft.Insights/scheduledQueryRules').find(
      ({ name }) => kindOf(name) === 'events-rejected',
    );
    const query: string = rule?.properties.criteria.allOf[0].query;
    expect(query).toContain(`"/${tableNames.rejected}"`);
    expect(query).toContain(`"${onlyOne(evaluated.plain, 'Microsoft.Storage/storageAccounts').name}"`);
    const tables = ofType(evaluated.plain, 'Microsoft.Insights/diagnosticSettings').find(({ id }) =>
      id.includes('/tableServices/'),
    );
    expect(tables?.properties.logs).toContainEqual({ category: 'StorageWrite', enabled: true });
  });

  it('watch the queue of events, for as long as an event may wait', () => {
    const waiting = (deployment: (typeof evaluated)['plain']) =>
      ofType(deployment, 'Microsoft.Insights/metricAlerts').find(
        ({ name }) => kindOf(name) === 'oldest-message',
      )?.properties;
    const [condition] = waiting(evaluated.plain).criteria.allOf;
    expect(condition.dimensions[0].values).toEqual([manufacturingEventsQueue.name]);
    expect(waiting(evaluated.plain).windowSize).toBe('PT15M');
    expect(waiting(evaluated.isolated).windowSize).toBe('PT5M');
  });
});

describeBicep('The workbook', () => {
  const evaluated = deployments('plain');

  it('shows the pipeline and the fleet, from resources that are there', () => {
    const { plain } = evaluated;
    const text: string = onlyOne(plain, 'Microsoft.Insights/workbooks').properties.serializedData;
    expect(text).not.toMatch(/<[A-Z_]+>/);
    const { items } = JSON.parse(text);
    expect(items.length).toBeGreaterThan(10);
    const there = new Set(plain.resources.map(({ id }) => id));
    for (const id of text.match(/\/subscriptions\/[^"\\]+/g) ?? []) expect(there).toContain(id);
    const metrics = [...text.matchAll(/"metric": "[^"]*--([A-Za-z]+)"/g)].map((match) => match[1]);
    expect(metrics).toEqual(
      expect.arrayContaining(['DeadletteredMessages', 'DeviceAssignments', 'RegistrationAttempts']),
    );
  });
});
