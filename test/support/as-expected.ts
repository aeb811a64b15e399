import { expect } from 'vitest';

import type { Chain } from './chain.ts';
import type { TestEvent } from './events.ts';
import { expectedDevice, expectedGroup } from './oracle.ts';

type Life = readonly TestEvent[];

/** DPS holds of each of these devices what the contract says that its events come to. */
export async function expectDevicesInDps(chain: Chain, lives: readonly Life[]): Promise<void> {
  const enrollments = await chain.enrollments();
  for (const life of lives) {
    const id = idOf(life);
    const story = `${id}: ${JSON.stringify(life)}`;
    const expected = expectedDevice(life);
    const actual = enrollments.get(id);
    const seen = actual && {
      provisioningStatus: actual.provisioningStatus ?? 'enabled',
      ...(actual.initialTwin ? { tags: actual.initialTwin.tags } : {}),
    };
    expect(seen ?? 'absent', story).toEqual(expected.enrollment);
    if (expected.primaryKey !== undefined) {
      const mechanism = await chain.dps.individualEnrollments.getAttestationMechanism(id);
      expect(mechanism.symmetricKey?.primaryKey, story).toBe(expected.primaryKey);
    }
  }
}

/** The same of batches. */
export async function expectGroupsInDps(chain: Chain, lives: readonly Life[]): Promise<void> {
  const statuses = new Map<string, string>();
  for await (const { enrollmentGroupId, provisioningStatus } of chain.dps.enrollmentGroups.query()) {
    statuses.set(enrollmentGroupId.toLowerCase(), provisioningStatus ?? 'enabled');
  }
  for (const life of lives) {
    const id = idOf(life);
    expect(statuses.get(id) ?? 'absent', `${id}: ${JSON.stringify(life)}`).toBe(expectedGroup(life));
  }
}

/** The id of the one device or batch that these events are about. */
export function idOf([first]: Life): string {
  return (first?.subject ?? '').toLowerCase();
}
