/** Where requests go, taken apart once. */
export interface Endpoint {
  /** `https://host[:port]`, without a path. */
  readonly origin: string;
  /** `host[:port]`: what shared access signatures are made for. */
  readonly host: string;
  readonly secure: boolean;
}

/** URLs let nearly everything be a host name. */
const hostName = /^(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])$/;

const loopbackHost = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Reads `https://host`, `http://host:port` or a bare host name, which means HTTPS. */
export function parseEndpoint(text: string): Endpoint {
  const url = URL.parse(text.includes('://') ? text : `https://${text}`);
  if (!url || !hostName.test(url.hostname) || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    // The text is not repeated: whole connection strings, with their keys, are passed here by mistake.
    throw new TypeError(
      'That is no DPS endpoint; it should read https://NAME.azure-devices-provisioning.net',
    );
  }
  if (url.pathname !== '/' || url.search || url.hash || url.username) {
    throw new TypeError(`A DPS endpoint is a scheme and a host, no more; "${url.origin}" would be one.`);
  }
  return { origin: url.origin, host: url.host, secure: url.protocol === 'https:' };
}

/** Keys and tokens cross plain HTTP only on this machine, and only when somebody asked for that. */
export function refusePlainHttp(endpoint: Endpoint, allowInsecureLoopback: boolean): void {
  if (endpoint.secure) {
    return;
  }
  if (!loopbackHost.test(new URL(endpoint.origin).hostname)) {
    throw new TypeError(`${endpoint.origin} is plain HTTP, which is for loopback only. Use https.`);
  }
  if (!allowInsecureLoopback) {
    throw new TypeError(
      `${endpoint.origin} is plain HTTP. For a local emulator say allowInsecureLoopback: true, ` +
        'or add ;UseDevelopmentEmulator=true to the connection string.',
    );
  }
}
