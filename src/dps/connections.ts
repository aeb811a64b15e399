import { createSecureContext, type SecureContext } from 'node:tls';
import type { Pool } from 'undici';
import type { DeviceProvisioningClientOptions } from './client-options.ts';
import type { Endpoint } from './endpoint.ts';

/** Azure's front ends keep idle connections for minutes; half a minute outlives the pauses between bursts. */
const keepAliveInMs = 30_000;
const connectTimeoutInMs = 10_000;
const defaultConnections = 64;
/** A page of a hundred enrollments with large twins is a few megabytes. */
const maxResponseBytes = 64 * 1024 * 1024;

/** The connections to one service. The first request loads undici, which takes longer than all of this client. */
export class Connections {
  /** `https://host[:port]` */
  readonly origin: string;
  readonly #connections: number;
  readonly #connect: { readonly timeout: number; readonly secureContext?: SecureContext };
  #opening: Promise<Pool> | undefined;
  #pool: Pool | undefined;

  /** @throws TypeError or TLS errors of options that no connection could be made with. */
  constructor(endpoint: Endpoint, options: DeviceProvisioningClientOptions, requestTimeoutInMs: number) {
    this.origin = endpoint.origin;
    this.#connections = options.connections ?? defaultConnections;
    if (!(Number.isFinite(this.#connections) && this.#connections >= 0)) {
      throw new TypeError('connections must be a number, 0 or more.');
    }
    this.#connect = {
      timeout: Math.min(connectTimeoutInMs, requestTimeoutInMs),
      ...(endpoint.secure && { secureContext: secureContext(options) }),
    };
  }

  /** Undefined until they were opened once. */
  get pool(): Pool | undefined {
    return this.#pool;
  }

  open(): Promise<Pool> {
    this.#opening ??= this.#load();
    return this.#opening;
  }

  /** Lets requests under way finish, and hangs up. */
  async close(): Promise<void> {
    const pool = await this.#opening;
    if (pool && !pool.closed) {
      await pool.close();
    }
  }

  async #load(): Promise<Pool> {
    const { Pool } = await import('undici');
    this.#pool = new Pool(this.origin, {
      connections: this.#connections,
      keepAliveTimeout: keepAliveInMs,
      maxResponseSize: maxResponseBytes,
      // DPS has been seen to speak HTTP/1.1 only.
      allowH2: false,
      connect: this.#connect,
    });
    return this.#pool;
  }
}

function secureContext({ caCertificates }: DeviceProvisioningClientOptions): SecureContext {
  const ca =
    caCertificates === undefined || typeof caCertificates === 'string' ? caCertificates : [...caCertificates];
  return createSecureContext({ minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }) });
}
