import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { type Deployment, deployments, describeBicep, infra, ofType, onlyOne } from '../support/bicep.ts';

/** Built-in roles, by their ids: what the template means is held against what Azure calls it. */
const roleNames: Record<string, string> = {
  'b7e6dc6d-f1e8-4753-8033-0f276bb0955b': 'Storage Blob Data Owner',
  '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3': 'Storage Table Data Contributor',
  '76199698-9eea-4c19-bc75-cec21354c6b6': 'Storage Table Data Reader',
  '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0': 'Azure Service Bus Data Receiver',
  '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39': 'Azure Service Bus Data Sender',
  '090c5cfd-751d-490a-894a-3ce6f1109419': 'Azure Service Bus Data Owner',
  'dfce44e4-17b7-4bd1-a6d1-04996ec95633': 'Device Provisioning Service Data Contributor',
  '10745317-c249-44a1-a5ce-3a4353c0bbd8': 'Device Provisioning Service Data Reader',
  '4ea46cd5-c1b2-4a8e-910b-273211f9ce47': 'IoT Hub Registry Contributor',
  '4633458b-17de-408a-b874-0445c86b69e6': 'Key Vault Secrets User',
  'b86a8fe4-44ce-4948-aee5-eccb2c155cd7': 'Key Vault Secrets Officer',
  '3913510d-42f4-4e42-8a64-420c390055eb': 'Monitoring Metrics Publisher',
};

const scopes: [kind: string, pattern: RegExp][] = [
  ['storage account', /\/Microsoft\.Storage\/storageAccounts\/[^/]+$/],
  ['key vault', /\/Microsoft\.KeyVault\/vaults\/[^/]+$/],
  ['Application Insights', /\/Microsoft\.Insights\/components\/[^/]+$/],
  ['DPS instance', /\/Microsoft\.Devices\/provisioningServices\/[^/]+$/],
  ['IoT hub', /\/Microsoft\.Devices\/IotHubs\/[^/]+$/],
  ['queue ', /\/Microsoft\.ServiceBus\/namespaces\/[^/]+\/queues\/([^/]+)$/],
  ['topic ', /\/Microsoft\.ServiceBus\/namespaces\/[^/]+\/topics\/([^/]+)$/],
];

/** The table of the README, as "role on scope". */
function promised(when: string[]): string[] {
  const readme = readFileSync(path.join(infra, 'README.md'), 'utf8');
  const section = /## Role assignments\n(.*?)\n## /s.exec(readme)?.[1] ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(1)
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .filter((cells) => when.includes(cells[3] ?? ''))
    .map((cells) => `${cells[1]} on ${cells[2]}`)
    .sort();
}

function given(deployment: Deployment): string[] {
  return ofType(deployment, 'Microsoft.Authorization/roleAssignments')
    .map(({ id, properties }) => {
      const role = roleNames[properties.roleDefinitionId.split('/').at(-1)];
      return `${role ?? properties.roleDefinitionId} on ${scopeOf(id)}`;
    })
    .sort();
}

function scopeOf(assignmentId: string): string {
  const scope = assignmentId.replace(/\/providers\/Microsoft\.Authorization\/.*$/, '');
  for (const [kind, pattern] of scopes) {
    const match = pattern.exec(scope);
    if (match) {
      return `${kind}${match[1] ?? ''}`;
    }
  }
  return scope;
}

describeBicep('The role assignments', () => {
  const evaluated = deployments('plain', 'isolated', 'brought-along', 'hubs');

  it('are those of the table in the README, and no others', () => {
    expect(promised(['always'])).toHaveLength(10);
    for (const variant of ['plain', 'brought-along'] as const) {
      expect(given(evaluated[variant]), variant).toEqual(promised(['always', 'targetBasedScaling']));
    }
  });

  it('let the app manage its queues, so that the platform sees how long they are, unless that is switched off', () => {
    expect([...new Set(given(evaluated.hubs))].filter((each) => !each.endsWith('on IoT hub'))).toEqual(
      promised(['always']),
    );
    expect(promised(['targetBasedScaling'])).toHaveLength(2);
  });

  it('let the app change the identities of every linked hub, where it is to close them', () => {
    const onHubs = given(evaluated.hubs).filter((each) => each.endsWith('on IoT hub'));
    expect([...new Set(onHubs)]).toEqual(promised(['closeHubs']));
    expect(onHubs, 'three that are made, and one that was there').toHaveLength(4);
  });

  it('let one person look, and put in secrets, where somebody is named', () => {
    expect(given(evaluated.isolated)).toEqual(promised(['always', 'targetBasedScaling', 'dataRolesFor']));
    expect(promised(['dataRolesFor'])).toHaveLength(5);
    const ofPeople = ofType(evaluated.isolated, 'Microsoft.Authorization/roleAssignments').filter(
      ({ properties }) => properties.principalType === 'User',
    );
    expect(new Set(ofPeople.map(({ properties }) => properties.principalId))).toEqual(
      new Set(['00000000-0000-4000-8000-000000000004']),
    );
    expect(ofPeople).toHaveLength(5);
  });

  it('are all others given to the one identity of the function app', () => {
    for (const deployment of Object.values(evaluated)) {
      const identity = onlyOne(deployment, 'Microsoft.ManagedIdentity/userAssignedIdentities');
      const app = onlyOne(deployment, 'Microsoft.Web/sites') as unknown as { identity: unknown };
      expect(app.identity).toEqual({ type: 'UserAssigned', userAssignedIdentities: { [identity.id]: {} } });
      for (const { properties } of ofType(deployment, 'Microsoft.Authorization/roleAssignments')) {
        if (properties.principalType === 'User') {
          continue;
        }
        expect(properties.principalType).toBe('ServicePrincipal');
        expect(properties.principalId).toMatch(/format\('identity-.*\.outputs\.principalId\.value\]$/);
      }
    }
  });

  it('lie on what was brought along where that is, in whatever resource group and subscription', () => {
    const ids = ofType(evaluated['brought-along'], 'Microsoft.Authorization/roleAssignments').map(
      ({ id }) => id,
    );
    const onServiceBus = ids.filter((id) => id.includes('/Microsoft.ServiceBus/'));
    expect(onServiceBus).toHaveLength(7);
    for (const id of onServiceBus) {
      expect(id).toContain(
        '/subscriptions/00000000-0000-4000-8000-000000000003/resourceGroups/rg-messaging/providers/Microsoft.ServiceBus/namespaces/sb-contoso/',
      );
    }
    expect(ids.filter((id) => id.includes('/rg-iot/providers/Microsoft.Devices/'))).toHaveLength(1);
  });
});
