/** What an IoT DPS connection string says. */
export interface ConnectionString {
  /** An URL: `https`, or `http` for a local emulator. */
  readonly endpoint: string;
  readonly policyName: string;
  readonly policyKey: string;
  readonly usesDevelopmentEmulator: boolean;
}

/**
 * Reads `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`, names in any case and order. `HostName` may
 * carry a port. With `;UseDevelopmentEmulator=true` the host is spoken to over plain HTTP.
 *
 * @throws TypeError that names what is missing; it never holds the key.
 */
export function parseConnectionString(text: string): ConnectionString {
  const properties = readProperties(text);
  const host = required(properties, 'HostName');
  const policyName = required(properties, 'SharedAccessKeyName');
  const policyKey = required(properties, 'SharedAccessKey');
  const usesDevelopmentEmulator = properties.get('usedevelopmentemulator')?.toLowerCase() === 'true';
  const scheme = usesDevelopmentEmulator ? 'http' : 'https';
  return { endpoint: `${scheme}://${host}`, policyName, policyKey, usesDevelopmentEmulator };
}

function readProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>();
  for (const part of text.split(';')) {
    // Keys are base64: only the first = divides.
    const equals = part.indexOf('=');
    if (equals > 0) {
      properties.set(part.slice(0, equals).trim().toLowerCase(), part.slice(equals + 1).trim());
    }
  }
  return properties;
}

function required(properties: Map<string, string>, name: string): string {
  const value = properties.get(name.toLowerCase());
  if (!value) {
    throw new TypeError(`IoT DPS connection string has missing property: ${name}`);
  }
  return value;
}
