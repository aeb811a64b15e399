import { createHmac } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { DeviceProvisioningClient } from '../../src/dps/client.ts';
import type { DeviceProvisioningClientOptions } from '../../src/dps/client-options.ts';
import { type DpsEmulator, startDpsEmulator } from '../../src/local/dps/emulator.ts';

/** A rule of the emulator's control plane. */
export interface Fault {
  operation: string;
  status?: number;
  errorCode?: number;
  retryAfter?: string;
  latencyMs?: number;
  reset?: 'before' | 'after';
  body?: 'garbage' | 'truncated';
  rate?: number;
  count?: number;
  seed?: number;
}

export const testPolicy = 'provisioningserviceowner';

/** The emulator of a test file, with its control plane at hand. */
export class TestEmulator {
  readonly #emulator: DpsEmulator;
  readonly #directory: string;
  readonly caCertificate: string;

  private constructor(emulator: DpsEmulator, directory: string, caCertificate: string) {
    this.#emulator = emulator;
    this.#directory = directory;
    this.caCertificate = caCertificate;
  }

  static async start(): Promise<TestEmulator> {
    const directory = await mkdtemp(join(tmpdir(), 'dps-client-'));
    const emulator = await startDpsEmulator({ certificateDirectory: directory });
    return new TestEmulator(emulator, directory, await readFile(emulator.caCertificate, 'utf8'));
  }

  get endpoint(): string {
    return this.#emulator.endpoint;
  }

  get tlsEndpoint(): string {
    return this.#emulator.tlsEndpoint;
  }

  get connectionString(): string {
    return this.#emulator.connectionString;
  }

  get environment(): NodeJS.ProcessEnv {
    return {
      DPS_CONNECTION_STRING: this.#emulator.connectionString,
      DPS_TLS_ENDPOINT: this.#emulator.tlsEndpoint,
      DPS_DEVICE_ENDPOINT: this.#emulator.deviceEndpoint,
      DPS_ID_SCOPE: this.#emulator.idScope,
      DPS_CA_CERTIFICATE: this.#emulator.caCertificate,
    };
  }

  /** The policy's primary key. */
  get key(): string {
    return /SharedAccessKey=([^;]+)/.exec(this.#emulator.connectionString)![1]!;
  }

  client(options: DeviceProvisioningClientOptions = {}): DeviceProvisioningClient {
    return DeviceProvisioningClient.fromConnectionString(this.connectionString, options);
  }

  /** Replaces all faults. */
  faults(...rules: Fault[]): Promise<unknown> {
    return this.control('PUT', '/faults', rules);
  }

  /** How often an operation was answered, by status. */
  async answers(operation: string): Promise<Record<string, number>> {
    const stats = (await this.control('GET', '/stats')) as {
      requests: Record<string, Record<string, number>>;
    };
    return stats.requests[operation] ?? {};
  }

  async control(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${this.endpoint}/_emulator${path}`, {
      method,
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      }),
    });
    const text = await response.text();
    if (!response.ok) {
      throw new Error(`${method} ${path}: ${response.status} ${text}`);
    }
    return text ? JSON.parse(text) : undefined;
  }

  /** A device that registers with a symmetric key of its own, and waits until it is done. */
  async registerDevice(registrationId: string, key: string): Promise<void> {
    const scope = this.#emulator.idScope;
    const resource = encodeURIComponent(`${scope}/registrations/${registrationId}`);
    const expiry = Math.floor(Date.now() / 1000) + 600;
    const signature = createHmac('sha256', Buffer.from(key, 'base64'))
      .update(`${resource}\n${expiry}`)
      .digest('base64');
    const authorization = `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expiry}&skn=registration`;
    const url = `${this.endpoint}/${scope}/registrations/${registrationId}`;
    const call = async (method: string, path: string, body?: string) => {
      const response = await fetch(`${url}${path}?api-version=2021-06-01`, {
        method,
        headers: { authorization, 'content-type': 'application/json' },
        ...(body !== undefined && { body }),
      });
      return (await response.json()) as { operationId: string; status: string };
    };
    let state = await call('PUT', '/register', JSON.stringify({ registrationId }));
    while (state.status === 'assigning') {
      state = await call('GET', `/operations/${state.operationId}`);
    }
    if (state.status !== 'assigned') {
      throw new Error(`${registrationId} did not register: ${JSON.stringify(state)}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#emulator.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** One emulator for the file, as new for each test. */
export function useEmulator(): { readonly current: TestEmulator } {
  let emulator: TestEmulator | undefined;
  beforeAll(async () => {
    emulator = await TestEmulator.start();
  });
  beforeEach(async () => {
    await emulator?.control('POST', '/reset');
  });
  afterAll(async () => {
    await emulator?.[Symbol.asyncDispose]();
  });
  return {
    get current() {
      return emulator!;
    },
  };
}
