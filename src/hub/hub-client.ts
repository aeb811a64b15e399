import {
  type Authorizer,
  createAuthorizer,
  type DeviceProvisioningCredential,
} from '../dps/authorization.ts';
import type { Clock } from '../dps/clock.ts';
import { Connections } from '../dps/connections.ts';
import { parseEndpoint } from '../dps/endpoint.ts';
import { exchange, type HttpRequest, type HttpResponse } from '../dps/http-exchange.ts';
import { ifFound } from '../dps/if-found.ts';
import { errorOfHubGarbage, errorOfHubResponse, errorOfNoResponse, type HubCall } from './hub-errors.ts';
import { type HubIdentity, type HubStatus, readIdentity, withStatus } from './hub-identity.ts';

export interface HubClientOptions {
  /** The hub's host name: `NAME.azure-devices.net`. */
  readonly hub: string;
  readonly credential: DeviceProvisioningCredential;
  /** Where the hub is reached, if not under its name: an emulator's address. */
  readonly endpoint?: string | undefined;
  readonly clock: Clock;
}

const apiVersion = '2021-04-12';
const tokenScope = 'https://iothubs.azure.net/.default';
const requestTimeoutInMs = 30_000;
const connectionsAtMost = 16;

/**
 * The part of a hub's identity registry that closing a device takes. Every call is one request, but for a refreshed
 * token; repeating is its caller's. Rejects with the error classes of the DPS client.
 *
 * Source: Azure IoT Hub service REST API 2021-04-12, devices.
 */
export class HubClient {
  readonly hub: string;
  readonly #connections: Connections;
  readonly #authorizer: Authorizer;
  readonly #clock: Clock;

  constructor({ hub, credential, endpoint = `https://${hub}`, clock }: HubClientOptions) {
    const target = parseEndpoint(endpoint);
    this.hub = hub;
    this.#clock = clock;
    this.#connections = new Connections(target, { connections: connectionsAtMost }, requestTimeoutInMs);
    // Signatures are made for the hub's own name, wherever it is reached.
    this.#authorizer = createAuthorizer(credential, { ...target, host: hub }, clock, tokenScope);
  }

  /** Undefined if the hub has no such device. Ids are case-sensitive in hubs. */
  async get(deviceId: string): Promise<HubIdentity | undefined> {
    const call: HubCall = { operation: 'devices.get', hub: this.hub, deviceId };
    const response = await ifFound(this.#send(call, 'GET'));
    return response && identityOf(call, response);
  }

  /** All else of the identity is sent as it was read. @throws PreconditionFailedError if it has changed since. */
  async update(identity: HubIdentity, status: HubStatus): Promise<void> {
    const call: HubCall = { operation: 'devices.update', hub: this.hub, deviceId: identity.deviceId };
    let body: string;
    try {
      body = withStatus(identity, status);
    } catch (error) {
      throw errorOfHubGarbage(call, error instanceof Error ? error.message : 'no identity');
    }
    await this.#send({ ...call, body }, 'PUT', identity.etag);
  }

  /** Resolves also where it is gone already. @throws PreconditionFailedError if it has changed since it was read. */
  async delete(identity: HubIdentity): Promise<void> {
    const call: HubCall = { operation: 'devices.delete', hub: this.hub, deviceId: identity.deviceId };
    await ifFound(this.#send(call, 'DELETE', identity.etag));
  }

  async close(): Promise<void> {
    await this.#connections.close();
  }

  async #send(call: HubCall, method: HttpRequest['method'], etag?: string): Promise<HttpResponse> {
    const subject = { operation: call.operation, id: call.deviceId };
    for (let mayRefresh = true; ; mayRefresh = false) {
      const authorization = await this.#authorizer.authorize(subject);
      const response = await this.#request(call, method, authorization, etag);
      if (response.statusCode >= 200 && response.statusCode <= 299) {
        return response;
      }
      const isRefreshed = response.statusCode === 401 && this.#authorizer.refused(authorization);
      if (!isRefreshed || !mayRefresh) {
        throw errorOfHubResponse(call, response, this.#clock.now());
      }
    }
  }

  async #request(
    call: HubCall,
    method: HttpRequest['method'],
    authorization: string,
    etag: string | undefined,
  ): Promise<HttpResponse> {
    const headers = ['host', this.hub, 'authorization', authorization, 'accept', 'application/json'];
    if (call.body !== undefined) {
      headers.push('content-type', 'application/json; charset=utf-8');
    }
    if (etag !== undefined) {
      headers.push('if-match', `"${etag}"`);
    }
    try {
      return await exchange(await this.#connections.open(), {
        method,
        path: `/devices/${encodeURIComponent(call.deviceId)}?api-version=${apiVersion}`,
        headers,
        body: call.body ?? null,
        timeoutInMs: requestTimeoutInMs,
      });
    } catch (error) {
      throw errorOfNoResponse(call, error);
    }
  }
}

function identityOf(call: HubCall, response: HttpResponse): HubIdentity {
  let value: unknown;
  try {
    value = JSON.parse(response.text);
  } catch {
    throw errorOfHubGarbage(call, 'no JSON');
  }
  const identity = readIdentity(value);
  if (!identity || identity.deviceId !== call.deviceId) {
    throw errorOfHubGarbage(call, 'no identity of that device');
  }
  return identity;
}
