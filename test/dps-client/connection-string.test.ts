import { describe, expect, it } from 'vitest';
import { DeviceProvisioningClient } from '../../src/dps/client.ts';
import { parseConnectionString } from '../../src/dps/connection-string.ts';

describe('A connection string', () => {
  it('gives the endpoint, the policy and the key', () => {
    expect(
      parseConnectionString(
        'HostName=x.azure-devices-provisioning.net;SharedAccessKeyName=owner;SharedAccessKey=a2V5PQ==',
      ),
    ).toEqual({
      endpoint: 'https://x.azure-devices-provisioning.net',
      policyName: 'owner',
      policyKey: 'a2V5PQ==',
      usesDevelopmentEmulator: false,
    });
  });

  it('may name its parts in any case and order, and may end in a semicolon', () => {
    const parsed = parseConnectionString('sharedaccesskey=a2V5; SHAREDACCESSKEYNAME=owner;hostname=x.net;');
    expect(parsed).toMatchObject({ endpoint: 'https://x.net', policyName: 'owner', policyKey: 'a2V5' });
  });

  it.each([
    ['HostName', 'SharedAccessKeyName=owner;SharedAccessKey=c2VjcmV0'],
    ['SharedAccessKeyName', 'HostName=x.net;SharedAccessKey=c2VjcmV0'],
    ['SharedAccessKey', 'HostName=x.net;SharedAccessKeyName=owner;SharedAccessKey='],
  ])('without %s fails with a line that names it, and holds no key', (name, text) => {
    expect(() => parseConnectionString(text)).toThrow(
      new TypeError(`IoT DPS connection string has missing property: ${name}`),
    );
  });

  it('allows plain HTTP with UseDevelopmentEmulator=true, on loopback only', async () => {
    const ending = 'SharedAccessKeyName=owner;SharedAccessKey=a2V5;UseDevelopmentEmulator=true';
    const client = DeviceProvisioningClient.fromConnectionString(`HostName=localhost:7080;${ending}`);
    expect(client.endpoint).toBe('http://localhost:7080');
    await client.close();
    expect(() => DeviceProvisioningClient.fromConnectionString(`HostName=10.0.0.1;${ending}`)).toThrow(
      /for loopback only/,
    );
  });
});

describe('An endpoint', () => {
  const credential = { name: 'owner', key: 'a2V5' };

  it('may be a bare host name, which means HTTPS', async () => {
    await using client = new DeviceProvisioningClient('x.azure-devices-provisioning.net', credential);
    expect(client.endpoint).toBe('https://x.azure-devices-provisioning.net');
  });

  it('may be plain HTTP only on loopback, and only when asked for', async () => {
    expect(() => new DeviceProvisioningClient('http://localhost:1', credential)).toThrow(
      /allowInsecureLoopback/,
    );
    expect(
      () => new DeviceProvisioningClient('http://example.com', credential, { allowInsecureLoopback: true }),
    ).toThrow(/for loopback only/);
    for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '[::1]']) {
      await using client = new DeviceProvisioningClient(`http://${host}:1`, credential, {
        allowInsecureLoopback: true,
      });
      expect(client.endpoint).toBe(`http://${host}:1`);
    }
  });

  it.each([
    '',
    'ftp://x',
    'https://',
    'https://x/path',
    'https://x?query',
    'HostName=x;SharedAccessKey=c2VjcmV0',
  ])('cannot be "%s", and the error does not repeat it', (text) => {
    const make = () => new DeviceProvisioningClient(text, credential);
    expect(make).toThrow(TypeError);
    expect(make).not.toThrow(/c2VjcmV0/);
  });
});
