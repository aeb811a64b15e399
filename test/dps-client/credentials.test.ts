import {
  type AccessToken,
  AzureNamedKeyCredential,
  AzureSASCredential,
  type TokenCredential,
} from '@azure/core-auth';
import { describe, expect, it } from 'vitest';
import { DeviceProvisioningClient } from '../../src/dps/client.ts';
import type { DeviceProvisioningClientOptions } from '../../src/dps/client-options.ts';
import { UnauthorizedError } from '../../src/dps/errors.ts';
import { generateSasToken } from '../../src/dps/sas-token.ts';
import { CapturedClock } from './captured-clock.ts';
import { testPolicy, useEmulator } from './emulator.ts';
import { ScriptedService } from './scripted-service.ts';

const emulator = useEmulator();
const allowInsecureLoopback = true;
const hour = 3_600_000;

/** Signs in on paper: the emulator takes any token for the right audience. */
class PaperCredential implements TokenCredential {
  readonly scopes: (string | string[])[] = [];
  readonly #clock: CapturedClock;
  readonly #claims: Record<string, unknown>;

  constructor(clock = new CapturedClock(), claims: Record<string, unknown> = {}) {
    this.#clock = clock;
    this.#claims = claims;
  }

  async getToken(scopes: string | string[]): Promise<AccessToken | null> {
    this.scopes.push(scopes);
    const expiresOnTimestamp = this.#clock.now() + hour;
    const claims = {
      aud: 'https://azure-devices-provisioning.net',
      exp: Math.floor(expiresOnTimestamp / 1000),
      jti: this.scopes.length,
      ...this.#claims,
    };
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    return { token: `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}.c2ln`, expiresOnTimestamp };
  }
}

function overTls(credential: TokenCredential, options: DeviceProvisioningClientOptions = {}) {
  return new DeviceProvisioningClient(emulator.current.tlsEndpoint, credential, {
    caCertificates: emulator.current.caCertificate,
    ...options,
  });
}

async function listGroups(client: DeviceProvisioningClient): Promise<number> {
  let count = 0;
  for await (const _ of client.enrollmentGroups.query()) {
    count += 1;
  }
  return count;
}

describe('A client can be made with', () => {
  it('a connection string', async () => {
    await using client = DeviceProvisioningClient.fromConnectionString(emulator.current.connectionString);
    expect(await listGroups(client)).toBe(0);
  });

  it("a policy's name and key", async () => {
    const credential = new AzureNamedKeyCredential(testPolicy, emulator.current.key);
    await using client = new DeviceProvisioningClient(emulator.current.endpoint, credential, {
      allowInsecureLoopback,
    });
    expect(await listGroups(client)).toBe(0);
  });

  it('a shared access signature, with and without its scheme', async () => {
    const token = generateSasToken(emulator.current.endpoint, testPolicy, emulator.current.key, hour);
    for (const signature of [token, token.replace('SharedAccessSignature ', '')]) {
      const credential = new AzureSASCredential(signature);
      await using client = new DeviceProvisioningClient(emulator.current.endpoint, credential, {
        allowInsecureLoopback,
      });
      expect(await listGroups(client)).toBe(0);
    }
  });

  it('a credential of Microsoft Entra ID, over TLS', async () => {
    const credential = new PaperCredential();
    await using client = overTls(credential);
    expect(await listGroups(client)).toBe(0);
    expect(credential.scopes).toEqual(['https://azure-devices-provisioning.net/.default']);
  });

  it('a key over TLS, too, where the authority is trusted', async () => {
    const credential = new AzureNamedKeyCredential(testPolicy, emulator.current.key);
    await using client = new DeviceProvisioningClient(emulator.current.tlsEndpoint, credential, {
      caCertificates: [emulator.current.caCertificate],
    });
    expect(await listGroups(client)).toBe(0);
    await using stranger = new DeviceProvisioningClient(emulator.current.tlsEndpoint, credential);
    await expect(listGroups(stranger)).rejects.toMatchObject({
      name: 'UnavailableError',
      message: expect.stringContaining('caCertificates'),
    });
  });

  it('no credential of Microsoft Entra ID over plain HTTP', () => {
    const make = () =>
      new DeviceProvisioningClient(emulator.current.endpoint, new PaperCredential(), {
        allowInsecureLoopback,
      });
    expect(make).toThrow(/plain HTTP/);
  });
});

describe('A token of Microsoft Entra ID', () => {
  it('is asked for once, by however many calls at once', async () => {
    const credential = new PaperCredential();
    await using client = overTls(credential);
    await Promise.all(Array.from({ length: 20 }, () => listGroups(client)));
    expect(credential.scopes.length).toBe(1);
  });

  it('is renewed ahead of expiry, while the present one still serves', async () => {
    const clock = new CapturedClock();
    const credential = new PaperCredential(clock);
    await using client = overTls(credential, { clock });
    await listGroups(client);
    clock.turn(hour - 300_001);
    await listGroups(client);
    expect(credential.scopes.length).toBe(1);
    clock.turn(2);
    await Promise.all([listGroups(client), listGroups(client)]);
    expect(credential.scopes.length).toBe(2);
    await listGroups(client);
    expect(credential.scopes.length).toBe(2);
  });

  it('that cannot be renewed serves to its end, and is asked for again every half minute', async () => {
    const clock = new CapturedClock();
    const paper = new PaperCredential(clock);
    let failing = false;
    let asked = 0;
    const credential: TokenCredential = {
      getToken: async (scopes) => {
        asked += 1;
        if (failing) {
          throw new Error('no sign-in today');
        }
        return paper.getToken(scopes);
      },
    };
    await using client = overTls(credential, { clock });
    await listGroups(client);
    failing = true;
    clock.turn(hour - 60_000);
    await listGroups(client);
    await listGroups(client);
    expect(asked).toBe(2);
    clock.turn(30_000);
    await listGroups(client);
    expect(asked).toBe(3);
    clock.turn(30_000);
    await expect(listGroups(client)).rejects.toMatchObject({
      name: 'UnauthorizedError',
      statusCode: undefined,
      cause: { message: 'no sign-in today' },
    });
    failing = false;
    expect(await listGroups(client)).toBe(0);
  });

  it('that the credential does not give is an error that says so', async () => {
    await using client = overTls({ getToken: async () => null });
    await expect(listGroups(client)).rejects.toThrow(UnauthorizedError);
    await expect(listGroups(client)).rejects.toThrow(/gave no token/);
  });

  it('may be long in coming: the caller can give up, and the others get it', async () => {
    let give: (token: AccessToken) => void = () => undefined;
    const paper = new PaperCredential();
    const token = new Promise<AccessToken>((resolve) => {
      give = resolve;
    });
    await using client = overTls({ getToken: () => token });
    const controller = new AbortController();
    const impatient = client.enrollmentGroups.get('g', { abortSignal: controller.signal });
    const patient = listGroups(client);
    controller.abort(new Error('enough'));
    await expect(impatient).rejects.toThrow('enough');
    give((await paper.getToken(''))!);
    expect(await patient).toBe(0);
  });

  it('that comes once the client is closed is not used', async () => {
    let give: (token: AccessToken) => void = () => undefined;
    const token = new Promise<AccessToken>((resolve) => {
      give = resolve;
    });
    const client = overTls({ getToken: () => token });
    const call = client.enrollmentGroups.get('g').catch((error: unknown) => error);
    await client.close();
    give((await new PaperCredential().getToken(''))!);
    expect(await call).toMatchObject({
      name: 'DeviceProvisioningError',
      message: expect.stringContaining('closed'),
    });
  });

  it('of a role that may only read is refused for writing', async () => {
    const claims = { roles: ['Device Provisioning Service Data Reader'] };
    await using client = overTls(new PaperCredential(undefined, claims));
    expect(await listGroups(client)).toBe(0);
    const write = client.enrollmentGroups.createOrUpdate({
      enrollmentGroupId: 'g',
      attestation: { type: 'symmetricKey' },
    });
    await expect(write).rejects.toMatchObject({ name: 'ForbiddenError', statusCode: 403 });
  });
});

describe('After a 401', () => {
  it('a new token is tried, once and at once', async () => {
    const clock = new CapturedClock();
    const credential = new PaperCredential(clock);
    await using client = overTls(credential, { clock });
    await emulator.current.faults({ operation: '*', status: 401, count: 1 });
    expect(await listGroups(client)).toBe(0);
    expect(credential.scopes.length).toBe(2);
    expect(clock.waits).toEqual([]);
  });

  it('a second one is the error, whatever the retries', async () => {
    const credential = new PaperCredential();
    await using client = overTls(credential, { retryOptions: { maxRetries: 5 } });
    await emulator.current.faults({ operation: '*', status: 401 });
    await expect(listGroups(client)).rejects.toThrow(UnauthorizedError);
    expect(credential.scopes.length).toBe(2);
    expect(await emulator.current.answers('EnrollmentGroup_Query')).toEqual({ 401: 2 });
  });

  it('a shared access signature that is still the same is not tried again', async () => {
    const credential = new AzureSASCredential('sr=x&sig=x&se=1&skn=x');
    await using client = new DeviceProvisioningClient(emulator.current.endpoint, credential, {
      allowInsecureLoopback,
    });
    await expect(listGroups(client)).rejects.toThrow(UnauthorizedError);
    expect(await emulator.current.answers('EnrollmentGroup_Query')).toEqual({ 401: 1 });
    credential.update(generateSasToken(emulator.current.endpoint, testPolicy, emulator.current.key, hour));
    expect(await listGroups(client)).toBe(0);
  });
});

describe("A policy's key", () => {
  it('makes one token for many calls, and a new one ahead of expiry or when the clock was set back', async () => {
    await using service = await ScriptedService.start({ status: 200, body: {} });
    const clock = new CapturedClock();
    await using client = service.client({ clock });
    const tokens = async () => {
      await client.enrollmentGroups.get('g');
      return new Set(service.arrivals.map(({ headers }) => headers.authorization)).size;
    };
    await tokens();
    expect(await tokens()).toBe(1);
    clock.turn(47 * 60_000);
    expect(await tokens()).toBe(1);
    clock.turn(2 * 60_000);
    expect(await tokens()).toBe(2);
    clock.turn(-hour);
    expect(await tokens()).toBe(3);
  });

  it('that is wrong costs one more request, with a new token, and is then the error', async () => {
    const credential = new AzureNamedKeyCredential(testPolicy, Buffer.from('a wrong key').toString('base64'));
    await using client = new DeviceProvisioningClient(emulator.current.endpoint, credential, {
      allowInsecureLoopback,
    });
    await expect(listGroups(client)).rejects.toThrow(UnauthorizedError);
    expect(await emulator.current.answers('EnrollmentGroup_Query')).toEqual({ 401: 2 });
  });

  it('or its name, once rotated, is in the very next request', async () => {
    await using service = await ScriptedService.start({ status: 200, body: {} });
    const credential = new AzureNamedKeyCredential('one', 'a2V5');
    await using client = new DeviceProvisioningClient(`http://${service.host}`, credential, {
      allowInsecureLoopback,
      clock: new CapturedClock(),
    });
    await client.enrollmentGroups.get('g');
    credential.update('one', 'bmV3');
    await client.enrollmentGroups.get('g');
    credential.update('two', 'bmV3');
    await client.enrollmentGroups.get('g');
    const tokens = service.arrivals.map(({ headers }) => headers.authorization!);
    expect(new Set(tokens.map((token) => /sig=([^&]+)/.exec(token)![1])).size).toBe(2);
    expect(tokens.map((token) => /skn=(.+)$/.exec(token)![1])).toEqual(['one', 'one', 'two']);
  });

  it('can be rotated while the client runs', async () => {
    const credential = new AzureNamedKeyCredential(testPolicy, emulator.current.key);
    await using client = new DeviceProvisioningClient(emulator.current.endpoint, credential, {
      allowInsecureLoopback,
    });
    expect(await listGroups(client)).toBe(0);
    const newKey = Buffer.from('another key, with its thirty-two').toString('base64');
    const policy = {
      keyName: testPolicy,
      primaryKey: newKey,
      secondaryKey: newKey,
      rights: ['EnrollmentRead'],
    };
    await emulator.current.control('PUT', '/policies', [policy]);
    await expect(listGroups(client)).rejects.toThrow(UnauthorizedError);
    credential.update(testPolicy, newKey);
    expect(await listGroups(client)).toBe(0);
    await expect(client.enrollmentGroups.delete('g')).rejects.toMatchObject({ name: 'ForbiddenError' });
  });
});
