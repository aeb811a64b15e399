import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import { runFault } from '../fault-responses.ts';
import { httpReply } from '../http-reply.ts';
import { isObject, type JsonObject } from '../json-input.ts';
import { maxBodyBytes } from '../limits.ts';
import { readBody } from '../request-body.ts';
import type { EmulatorResponse, ReplyChannel } from '../responses.ts';
import type { Service } from '../service.ts';
import { type HubRight, requireHubRight } from './authorization.ts';
import { HubError, hubErrorResponse, hubFaultResponse } from './errors.ts';
import { etagOf, identityView, type StoredIdentity, twinView } from './identity.ts';
import { readQuery, valueAt } from './query.ts';
import { HubRegistry } from './registry.ts';

const apiVersions = new Set(['2020-09-30', '2021-04-12', '2024-03-31']);
const maxQueryLength = 8_192;
const maxList = 1_000;
const maxPage = 100;

export type HubOperation =
  | 'HubIdentity_Get'
  | 'HubIdentity_List'
  | 'HubIdentity_CreateOrUpdate'
  | 'HubIdentity_Delete'
  | 'HubIdentity_RunBulk'
  | 'HubTwin_Get'
  | 'HubTwin_Query'
  | 'HubStatistics_Devices'
  | 'HubStatistics_Service';

interface HubCall {
  readonly registry: HubRegistry;
  readonly deviceId: string;
  readonly query: URLSearchParams;
  readonly ifMatch: string | undefined;
  readonly maxItemCount: string | undefined;
  readonly continuation: string | undefined;
  json(): Promise<unknown>;
  /** Counts against the hub's registry operations. @throws HubError ThrottlingException */
  takeOperations(count: number): void;
}

interface Handler {
  readonly operation: HubOperation;
  readonly rights: readonly HubRight[];
  run(call: HubCall): EmulatorResponse | Promise<EmulatorResponse>;
}

const handlers: Readonly<Record<string, Handler>> = {
  'GET devices/{}': {
    operation: 'HubIdentity_Get',
    rights: ['RegistryRead'],
    run: ({ registry, deviceId }) => identityResponse(registry.get(deviceId)),
  },
  'PUT devices/{}': {
    operation: 'HubIdentity_CreateOrUpdate',
    rights: ['RegistryRead', 'RegistryWrite'],
    async run({ registry, deviceId, ifMatch, json }) {
      const body = objectOf(await json());
      if (body.deviceId !== deviceId) {
        throw new HubError('ArgumentInvalid', 'deviceId must be that of the path.');
      }
      return identityResponse(registry.put(deviceId, body, ifMatch));
    },
  },
  'DELETE devices/{}': {
    operation: 'HubIdentity_Delete',
    rights: ['RegistryRead', 'RegistryWrite'],
    run({ registry, deviceId, ifMatch }) {
      registry.delete(deviceId, ifMatch);
      return { status: 204 };
    },
  },
  'GET devices': {
    operation: 'HubIdentity_List',
    rights: ['RegistryRead'],
    run({ registry, query }) {
      const top = Number(query.get('top') ?? maxList);
      const count = Number.isInteger(top) && top >= 1 && top <= maxList ? top : maxList;
      return jsonResponse(registry.all().slice(0, count).map(identityView));
    },
  },
  'POST devices': {
    operation: 'HubIdentity_RunBulk',
    rights: ['RegistryRead', 'RegistryWrite'],
    async run({ registry, json, takeOperations }) {
      const items = await json();
      takeOperations(Array.isArray(items) ? items.length : 1);
      const result = registry.bulk(items);
      return { ...jsonResponse(result), status: result.isSuccessful ? 200 : 400 };
    },
  },
  'GET twins/{}': {
    operation: 'HubTwin_Get',
    rights: ['ServiceConnect'],
    run: ({ registry, deviceId }) => jsonResponse(twinView(registry.get(deviceId))),
  },
  'POST devices/query': {
    operation: 'HubTwin_Query',
    rights: ['RegistryRead'],
    run: runQuery,
  },
  'GET statistics/devices': {
    operation: 'HubStatistics_Devices',
    rights: ['RegistryRead'],
    run({ registry }) {
      const all = registry.all();
      const enabled = all.filter(({ status }) => status === 'enabled').length;
      return jsonResponse({
        totalDeviceCount: all.length,
        enabledDeviceCount: enabled,
        disabledDeviceCount: all.length - enabled,
      });
    },
  },
  'GET statistics/service': {
    operation: 'HubStatistics_Service',
    rights: ['ServiceConnect'],
    run: () => jsonResponse({ connectedDeviceCount: 0 }),
  },
};

/** The linked hub that a request is for: the one of its Host header. Undefined: the request is for DPS. */
export function hubOf(service: Service, request: IncomingMessage): string | undefined {
  const host = request.headers.host?.replace(/:\d+$/, '').toLowerCase();
  return service.state.configuration.hubs
    .map(({ hostName }) => hostName.toLowerCase())
    .find((hostName) => hostName === host);
}

/** Answers a request to the service API of a hub. Never rejects. */
export async function handleHubRequest(
  service: Service,
  hub: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = '', url = '' } = request;
  const [path = '', query = ''] = url.split('?', 2);
  const reply = httpReply(request, response);
  let operation: HubOperation | undefined;
  let status: number | 'reset';
  try {
    const { handler, deviceId } = findHandler(method, path);
    operation = handler.operation;
    const run = () => runHandler(service, hub, request, handler, deviceId, new URLSearchParams(query));
    status = await serve(service, operation, run, reply);
  } catch (error) {
    const answer = hubErrorResponse(error, service.now());
    status = answer.status;
    reply.send(answer);
  }
  service.log.add({ at: service.now(), method, path: `${hub}${path}`, operation, status });
}

async function serve(
  service: Service,
  operation: HubOperation,
  run: () => Promise<EmulatorResponse>,
  reply: ReplyChannel,
): Promise<number | 'reset'> {
  const fault = service.faults.pick(operation);
  if (fault === undefined) {
    const answer = await run();
    reply.send(answer);
    return answer.status;
  }
  const runOrError = () => run().catch((error) => hubErrorResponse(error, service.now()));
  return runFault(fault, runOrError, reply, ({ retryAfter }, status) =>
    hubFaultResponse(status, retryAfter, service.now()),
  );
}

async function runHandler(
  service: Service,
  hub: string,
  request: IncomingMessage,
  handler: Handler,
  deviceId: string,
  query: URLSearchParams,
): Promise<EmulatorResponse> {
  const { headers, socket } = request;
  if (!apiVersions.has(query.get('api-version') ?? '')) {
    throw new HubError('InvalidProtocolVersion');
  }
  // Browsers name the page that a request comes from.
  if (headers.origin !== undefined) {
    throw new HubError('IotHubUnauthorized');
  }
  const isTls = socket instanceof TLSSocket;
  requireHubRight(handler.rights, { authorization: headers.authorization, hub, isTls }, service.now());
  const takeOperations = (count: number) => {
    if (!service.quota.takeHubOperations(hub, count)) {
      throw new HubError('ThrottlingException');
    }
  };
  if (handler.operation.startsWith('HubIdentity_') && handler.operation !== 'HubIdentity_RunBulk') {
    takeOperations(1);
  }
  return handler.run({
    takeOperations,
    registry: new HubRegistry(hub, service.state, service.now),
    deviceId,
    query,
    ifMatch: headers['if-match'],
    maxItemCount: headers['x-ms-max-item-count']?.toString(),
    continuation: headers['x-ms-continuation']?.toString(),
    json: () => readJson(request),
  });
}

/** Clients send trailing slashes. @throws HubError */
function findHandler(method: string, path: string): { handler: Handler; deviceId: string } {
  const [first = '', second, ...more] = path.replace(/^\/+|\/+$/g, '').split('/');
  const fixed = second === undefined ? first : `${first}/${second}`;
  const name = `${method} ${fixed.toLowerCase()}`;
  const exact = Object.hasOwn(handlers, name) ? handlers[name] : undefined;
  const byId = second === undefined ? undefined : handlers[`${method} ${first.toLowerCase()}/{}`];
  const handler = exact ?? byId;
  if (handler === undefined || more.length > 0) {
    throw new HubError('ResourceNotFound');
  }
  return { handler, deviceId: decode(second ?? '') };
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new HubError('ArgumentInvalid', 'The path is not well encoded.');
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const body = await readBody(request, maxBodyBytes);
  if (body === undefined) {
    throw new HubError('ArgumentInvalid', 'The body is too large.');
  }
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new HubError('ArgumentInvalid', 'The body is not valid JSON.');
  }
}

function objectOf(value: unknown): JsonObject {
  if (!isObject(value)) {
    throw new HubError('ArgumentInvalid', 'The body must be an object.');
  }
  return value;
}

/** A page begins behind the device that the page before ended with, so that writes between pages lose nothing. */
async function runQuery({ registry, maxItemCount, continuation, json }: HubCall): Promise<EmulatorResponse> {
  const { query } = objectOf(await json());
  if (typeof query !== 'string' || query.length > maxQueryLength) {
    throw new HubError('ArgumentInvalid', `query must be a string of ${maxQueryLength} characters at most.`);
  }
  const { projection, countName, fits } = readQuery(query);
  const found = registry.all().map(twinView).filter(fits);
  if (countName !== undefined) {
    return jsonResponse([{ [countName]: found.length }], { 'x-ms-item-type': 'raw' });
  }
  const after = continuation ? Buffer.from(continuation, 'base64url').toString('utf8') : '';
  const asked = Number(maxItemCount ?? maxPage);
  const size = Number.isInteger(asked) && asked >= 1 && asked <= maxPage ? asked : maxPage;
  const rest = found.filter(({ deviceId }) => String(deviceId) > after);
  const page = rest.slice(0, size);
  const last = page.at(-1)?.deviceId;
  const lines = projection
    ? page.map((twin) => Object.fromEntries(projection.map(({ path, name }) => [name, valueAt(twin, path)])))
    : page;
  return jsonResponse(lines, {
    'x-ms-item-type': projection ? 'raw' : 'twin',
    ...(rest.length > size ? { 'x-ms-continuation': Buffer.from(String(last)).toString('base64url') } : {}),
  });
}

function identityResponse(identity: StoredIdentity): EmulatorResponse {
  return jsonResponse(identityView(identity), { ETag: `"${etagOf(identity)}"` });
}

function jsonResponse(value: unknown, headers: Readonly<Record<string, string>> = {}): EmulatorResponse {
  return { status: 200, text: JSON.stringify(value), headers };
}
