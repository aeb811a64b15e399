import { createSecureContext } from 'node:tls';
import { Pool } from 'undici';
import { createAuthorizer, type DeviceProvisioningCredential } from './authorization.ts';
import { type DeviceProvisioningClientOptions, resolveOptions } from './client-options.ts';
import { parseConnectionString } from './connection-string.ts';
import { DeviceRegistrationStates } from './device-registration-states.ts';
import { type Endpoint, parseEndpoint, refusePlainHttp } from './endpoint.ts';
import { EnrollmentGroups } from './enrollment-groups.ts';
import { IndividualEnrollments } from './individual-enrollments.ts';
import { ServiceCaller } from './service-caller.ts';

/** Azure's front ends keep idle connections for minutes; half a minute outlives the pauses between bursts. */
const KEEP_ALIVE_IN_MS = 30_000;
const CONNECT_TIMEOUT_IN_MS = 10_000;
const DEFAULT_CONNECTIONS = 64;
/** A page of a hundred enrollments with large twins is a few megabytes. */
const MAX_RESPONSE_BYTES = 64 * 1024 * 1024;

/**
 * A client of the Azure IoT Hub Device Provisioning Service's data plane: enrollments, enrollment groups and
 * registration states of one DPS instance.
 *
 * It keeps connections, so make one and share it; `close()` it, or `await using` it, when done.
 *
 * @example
 * ```ts
 * const client = new DeviceProvisioningClient(
 *   'https://my-dps.azure-devices-provisioning.net',
 *   new DefaultAzureCredential(),
 * );
 * for await (const enrollment of client.individualEnrollments.query()) {
 *   console.log(enrollment.registrationId, enrollment.provisioningStatus);
 * }
 * ```
 */
export class DeviceProvisioningClient implements AsyncDisposable {
  /** `https://host`, without a path. */
  readonly endpoint: string;
  /** Enrollments of single devices. */
  readonly individualEnrollments: IndividualEnrollments;
  /** Enrollments of many devices by one key or certificate. */
  readonly enrollmentGroups: EnrollmentGroups;
  /** What became of devices that registered. */
  readonly deviceRegistrationStates: DeviceRegistrationStates;
  readonly #pool: Pool;
  readonly #caller: ServiceCaller;

  /**
   * @param endpoint - `https://NAME.azure-devices-provisioning.net`.
   * @param credential - a `TokenCredential` (Microsoft Entra ID), an `AzureNamedKeyCredential` (a shared access
   * policy's name and key; `update` it to rotate), or an `AzureSASCredential` (a shared access signature).
   * @throws TypeError if the endpoint is none, or plain HTTP where that is not allowed.
   */
  constructor(
    endpoint: string,
    credential: DeviceProvisioningCredential,
    options: DeviceProvisioningClientOptions = {},
  ) {
    const target = parseEndpoint(endpoint);
    refusePlainHttp(target, options.allowInsecureLoopback === true);
    const settings = resolveOptions(options);
    const authorizer = createAuthorizer(credential, target, settings.clock);
    this.endpoint = target.origin;
    this.#pool = createPool(target, options, settings.requestTimeoutInMs);
    this.#caller = new ServiceCaller(this.#pool, authorizer, settings);
    this.individualEnrollments = new IndividualEnrollments(this.#caller, settings.serviceVersion);
    this.enrollmentGroups = new EnrollmentGroups(this.#caller, settings.serviceVersion);
    this.deviceRegistrationStates = new DeviceRegistrationStates(this.#caller, settings.serviceVersion);
  }

  /**
   * Makes a client from `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`, as the Azure portal shows it.
   * With `;UseDevelopmentEmulator=true` it speaks plain HTTP to an emulator on this machine.
   *
   * @throws TypeError `IoT DPS connection string has missing property: …`
   */
  static fromConnectionString(
    connectionString: string,
    options: DeviceProvisioningClientOptions = {},
  ): DeviceProvisioningClient {
    const parsed = parseConnectionString(connectionString);
    const credential = { name: parsed.policyName, key: parsed.policyKey };
    const allowInsecureLoopback = parsed.usesDevelopmentEmulator || options.allowInsecureLoopback === true;
    return new DeviceProvisioningClient(parsed.endpoint, credential, { ...options, allowInsecureLoopback });
  }

  /** Lets requests under way finish, ends calls that wait for a retry with their last error, and hangs up. */
  async close(): Promise<void> {
    this.#caller.close();
    if (!this.#pool.closed) {
      await this.#pool.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function createPool(
  endpoint: Endpoint,
  options: DeviceProvisioningClientOptions,
  requestTimeoutInMs: number,
): Pool {
  return new Pool(endpoint.origin, {
    connections: options.connections ?? DEFAULT_CONNECTIONS,
    keepAliveTimeout: KEEP_ALIVE_IN_MS,
    maxResponseSize: MAX_RESPONSE_BYTES,
    // DPS has been seen to speak HTTP/1.1 only.
    allowH2: false,
    connect: {
      timeout: Math.min(CONNECT_TIMEOUT_IN_MS, requestTimeoutInMs),
      ...(endpoint.secure && tlsOptions(options)),
    },
  });
}

function tlsOptions({ caCertificates }: DeviceProvisioningClientOptions) {
  const ca =
    caCertificates === undefined || typeof caCertificates === 'string' ? caCertificates : [...caCertificates];
  return { secureContext: createSecureContext({ minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }) }) };
}
