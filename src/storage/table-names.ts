/** The tables; the deployment makes the same. */
export const tableNames = {
  devices: 'devices',
  batches: 'batches',
  rejected: 'rejected',
  quota: 'quota',
  registrationStates: 'registrationstates',
  auditRuns: 'auditruns',
  auditFindings: 'auditfindings',
  fleetIndex: 'fleetindex',
} as const;

export type TableName = keyof typeof tableNames;
