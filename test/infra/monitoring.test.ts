import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it, vi } from 'vitest';
import { manufacturingEventsQueue } from '../../src/events/messaging-entities.ts';
import { consoleLog } from '../../src/tools/log.ts';
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
      for (const { id } of needed) {
        expect(covered).toContain(id);
      }
      expect(new Set(settings.map(({ properties }) => properties.workspaceId)).size).toBe(1);
    }
  });

  it('are on the DPS and the Service Bus that were brought along, too, to the workspace that was', () => {
    const settings = ofType(evaluated['brought-along'], 'Microsoft.Insights/diagnosticSettings');
    const on = settings.map(({ id }) => path.posix.basename(diagnosticsOf(id)));
    expect(on).toEqual(expect.arrayContaining(['dps-contoso', 'sb-contoso']));
    for (const { properties } of settings) {
      expect(properties.workspaceId).toMatch(/\/log-contoso$/);
    }
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
    ...ofType(deployment, 'Microsoft.Insights/activityLogAlerts'),
  ];
  const kindOf = (name: string) => name.replace(/-[a-z0-9]{13}$/, '');

  it('are those that the README says what to do about', () => {
    const readme = readFileSync(path.join(infra, 'README.md'), 'utf8');
    const section = /\n## Alerts\n(.*?)\n##/s.exec(readme)?.[1] ?? '';
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
      if (/App(?:Traces|Requests)/.test(query)) {
        expect(query).toMatch(new RegExp(`_ResourceId (?:=~|in~) \\(?"${app}"`));
      }
      if (/AzureDiagnostics/.test(query)) {
        expect(query).toContain(`_ResourceId =~ "${dps}"`);
      }
      for (const [, list] of query.matchAll(/Message has(?:_any)? \(?([^)\n]*)/g)) {
        for (const [, word] of (list ?? '').matchAll(/"([^"]+)"/g)) {
          words.add(word ?? '');
        }
      }
    }
    expect(words.size).toBeGreaterThanOrEqual(6);
    // In a call of the log, or among the words of a circuit breaker.
    for (const word of words) {
      expect(code, word).toMatch(new RegExp(`(?:log\\([^;]*|available: )['\`]${word}\\b`));
    }
  });

  it('read the age of the oldest event from its line, and take silence for an old one', () => {
    const queryOf = (deployment: (typeof evaluated)['plain']): string =>
      ofType(deployment, 'Microsoft.Insights/scheduledQueryRules').find(
        ({ name }) => kindOf(name) === 'oldest-message',
      )?.properties.criteria.allOf[0].query;
    const [, pattern = ''] = /extract\("([^"]+)", 1, Message\)/.exec(queryOf(evaluated.plain)) ?? [];
    const lines: string[] = [];
    const write = vi.spyOn(console, 'info').mockImplementation((line) => lines.push(line));
    consoleLog('information', 'oldest-message', { queue: manufacturingEventsQueue.name, ageInSeconds: 901 });
    write.mockRestore();
    expect(new RegExp(pattern).exec(lines[0] ?? '')?.[1]).toBe('901');
    expect(queryOf(evaluated.plain)).toMatch(/\| where Lines == 0 or Unknown > 0 or Oldest > 900$/);
    expect(queryOf(evaluated.isolated)).toMatch(/\| where Lines == 0 or Unknown > 0 or Oldest > 300$/);
  });

  it('rest on what the README says they rest on', () => {
    const readme = readFileSync(path.join(infra, 'README.md'), 'utf8');
    const section = /\n### What the alerts rest on\n(.*?)\n## /s.exec(readme)?.[1] ?? '';
    const [metrics = [], health = [], lines = [], logs = []] = [
      ...section.matchAll(/^\| [^|]+ \| ([a-z, -]+) \|/gm),
    ]
      .map((row) => row[1]?.trim().split(', ').sort() ?? [])
      .filter(([name]) => !name?.startsWith('--') && name !== 'alerts');
    const { plain } = evaluated;
    const names = (type: string, query = /./) =>
      ofType(plain, type)
        .filter(({ properties }) => query.test(properties.criteria.allOf[0].query ?? 'metric'))
        .map(({ name }) => kindOf(name))
        .sort();
    expect(metrics).toEqual(names('Microsoft.Insights/metricAlerts'));
    expect(health).toEqual(
      ofType(plain, 'Microsoft.Insights/activityLogAlerts').map(({ name }) => kindOf(name)),
    );
    expect(lines).toEqual(names('Microsoft.Insights/scheduledQueryRules', /AppTraces/));
    expect(logs).toEqual(names('Microsoft.Insights/scheduledQueryRules', /AzureDiagnostics/));
    const tables = ofType(plain, 'Microsoft.Insights/scheduledQueryRules').flatMap(({ properties }) =>
      [...properties.criteria.allOf[0].query.matchAll(/\[\]\), ([\w, ]+)$/gm)].flatMap(
        (match) => match[1]?.split(', ') ?? [],
      ),
    );
    expect([...new Set(tables)].sort()).toEqual(['AppTraces', 'AzureDiagnostics', 'FunctionAppLogs']);
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
    for (const id of text.match(/\/subscriptions\/[^"\\]+/g) ?? []) {
      expect(there).toContain(id);
    }
    const metrics = [...text.matchAll(/"metric": "[^"]*--([A-Za-z]+)"/g)].map((match) => match[1]);
    expect(metrics).toEqual(
      expect.arrayContaining(['DeadletteredMessages', 'DeviceAssignments', 'RegistrationAttempts']),
    );
  });
});
