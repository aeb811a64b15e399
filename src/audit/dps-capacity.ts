import type { GroupKinds } from './audit-counts.ts';

export interface DpsCapacity {
  readonly enrollmentGroups: GroupKinds;
  readonly individualEnrollments: number;
  readonly registrations: number;
}

/**
 * What one DPS instance holds: https://learn.microsoft.com/azure/iot-dps/about-iot-dps#quotas-and-limits, dated
 * 2024-03. No operation tells what an instance was granted beyond that.
 */
export const dpsCapacity: DpsCapacity = {
  enrollmentGroups: { x509: 100, symmetricKey: 100 },
  individualEnrollments: 1_000_000,
  registrations: 1_000_000,
};
