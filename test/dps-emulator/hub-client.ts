import type { ClientRequest, IncomingMessage } from 'node:http';
import { request } from 'node:http';
import { Registry } from 'azure-iothub';
import { SharedAccessSignature } from 'azure-iothub/dist/common-core/shared_access_signature.js';
import { RestApiClient } from 'azure-iothub/dist/common-http/rest_api_client.js';
import { developmentHubKey } from '../../src/local/dps/hub/authorization.ts';

/** The official client, unmodified, with a transport that goes to this machine instead of to the hub's own. */
export function officialRegistry(endpoint: string, hub: string, policy = 'iothubowner'): Registry {
  const expiry = Math.floor(Date.now() / 1_000) + 3_600;
  const sharedAccessSignature = SharedAccessSignature.create(hub, policy, developmentHubKey, expiry);
  const config = { host: hub, sharedAccessSignature };
  const { hostname, port } = new URL(endpoint);
  const http = {
    setOptions() {},
    buildRequest(
      method: string,
      path: string,
      headers: object,
      host: string,
      ...more: unknown[]
    ): ClientRequest {
      const done = more.at(-1) as (error: Error | null, body?: string, response?: IncomingMessage) => void;
      const sent = request(
        { hostname, port, method, path, headers: { ...headers, Host: host } },
        (response) => {
          let body = '';
          response.on('data', (chunk) => {
            body += chunk;
          });
          response.on('end', () => {
            const failed = (response.statusCode ?? 0) >= 300;
            done(failed ? new Error(response.statusMessage) : null, body, response);
          });
        },
      );
      sent.on('error', (error) => done(error));
      return sent;
    },
  };
  const client = new RestApiClient(config as never, 'azure-iothub/test', http as never);
  return new Registry(config as never, client as never);
}
