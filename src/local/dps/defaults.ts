import type { Configuration } from './state.ts';

/** Always the same, so that what clients were given outlives restarts. */
export const defaultIdScope = '0ne00EE0001';

/** Well known and the same on every machine. It protects nothing. */
const developmentPolicy = {
  keyName: 'provisioningserviceowner',
  primaryKey: 'RFBTIGVtdWxhdG9yIHByaW1hcnkga2V5LCBub3QgYSBzZWNyZXQ=',
  secondaryKey: 'RFBTIGVtdWxhdG9yIHNlY29uZGFyeSBrZXksIG5vdCBhIHNlY3JldA==',
  rights: [
    'ServiceConfig',
    'EnrollmentRead',
    'EnrollmentWrite',
    'RegistrationStatusRead',
    'RegistrationStatusWrite',
    'DeviceConnect',
  ],
} as const;

/** What a new emulator, or one that was reset, is set to. */
export const initialConfiguration: Configuration = {
  hubs: [
    { hostName: 'hub.azure-devices.net', allocationWeight: 1, applyAllocationPolicy: true, latencyMs: 0 },
  ],
  policies: [developmentPolicy],
  certificates: {},
};

/** @param host with its port */
export function connectionStringOf(host: string): string {
  const { keyName, primaryKey } = developmentPolicy;
  return `HostName=${host};SharedAccessKeyName=${keyName};SharedAccessKey=${primaryKey};UseDevelopmentEmulator=true`;
}
