import { createAuthorizer, type DeviceProvisioningCredential } from './authorization.ts';
import { type DeviceProvisioningClientOptions, resolveOptions } from './client-options.ts';
import { parseConnectionString } from './connection-string.ts';
import { Connections } from './connections.ts';
import { DeviceRegistrationStates } from './device-registration-states.ts';
import { parseEndpoint, refusePlainHttp } from './endpoint.ts';
import {
  EnrollmentCollection,
  type EnrollmentGroups,
  type IndividualEnrollments,
} from './enrollment-collection.ts';
import { enrollmentGroupKind, individualEnrollmentKind } from './enrollment-kinds.ts';
import { ServiceCaller } from './service-caller.ts';

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
  readonly #connections: Connections;
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
    this.#connections = new Connections(target, options, settings.requestTimeoutInMs);
    this.#caller = new ServiceCaller(this.#connections, authorizer, settings);
    const { serviceVersion } = settings;
    this.individualEnrollments = new EnrollmentCollection(
      individualEnrollmentKind,
      this.#caller,
      serviceVersion,
    );
    this.enrollmentGroups = new EnrollmentCollection(enrollmentGroupKind, this.#caller, serviceVersion);
    this.deviceRegistrationStates = new DeviceRegistrationStates(this.#caller, serviceVersion);
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
    await this.#connections.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
