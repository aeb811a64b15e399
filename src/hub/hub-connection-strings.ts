/** Access to a hub by one of its shared access policies. */
export interface HubConnection {
  /** In lower case; `*` is any hub, for the emulator's. */
  readonly hub: string;
  readonly policyName: string;
  readonly policyKey: string;
  /** Where the hub is reached, if not under its name. */
  readonly endpoint: string | undefined;
}

export const hubConnectionStringsRule =
  'one HostName=NAME.azure-devices.net;SharedAccessKeyName=…;SharedAccessKey=… a hub, with spaces in between';

/** Undefined if it is not that. An emulator's has `HostName=*` and `EmulatorEndpoint=http://127.0.0.1:PORT`. */
export function readHubConnectionStrings(text: string): readonly HubConnection[] | undefined {
  const connections = text.split(/\s+/).filter(Boolean).map(readOne);
  const isGood = connections.length > 0 && connections.every((each) => each !== undefined);
  return isGood ? connections.flatMap((each) => each ?? []) : undefined;
}

function readOne(text: string): HubConnection | undefined {
  const properties = new Map(
    text.split(';').map((part) => {
      // Keys are base64: only the first = divides.
      const [name = '', ...value] = part.split('=');
      return [name.toLowerCase(), value.join('=')] as const;
    }),
  );
  const hub = properties.get('hostname')?.toLowerCase();
  const policyName = properties.get('sharedaccesskeyname');
  const policyKey = properties.get('sharedaccesskey');
  const endpoint = properties.get('emulatorendpoint');
  const isNamed = hub !== undefined && (hub === '*' ? endpoint !== undefined : /^[a-z0-9.-]+$/.test(hub));
  const isReached = endpoint === undefined || /^http:\/\/(?:localhost|127\.[\d.]+):\d+$/.test(endpoint);
  return isNamed && isReached && policyName && policyKey
    ? { hub, policyName, policyKey, endpoint }
    : undefined;
}
