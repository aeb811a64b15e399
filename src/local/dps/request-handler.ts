import { randomUUID, X509Certificate } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import { keyOf } from './enrollment-kinds.ts';
import { ServiceError } from './errors.ts';
import { runFault } from './fault-answers.ts';
import type { Faults } from './faults.ts';
import { type JsonObject, parseJsonObject } from './json-input.ts';
import { MAX_BODY_BYTES } from './limits.ts';
import { type Answer, type Call, OPERATIONS, type Operation, PREVIEW_VERSION } from './operations.ts';
import type { Quota } from './quota.ts';
import type { Registrations } from './registration.ts';
import { readBody } from './request-body.ts';
import type { RequestLog } from './request-log.ts';
import { findRoute, type OperationName, type Route } from './routes.ts';
import type { ServiceAuthorization } from './service-authorization.ts';
import type { EmulatorState } from './state.ts';
import type { TpmChallenges } from './tpm-challenges.ts';

const API_VERSIONS = new Set(['2019-03-31', '2021-06-01', '2021-10-01', PREVIEW_VERSION]);
const STRICT_TRANSPORT = { 'Strict-Transport-Security': 'max-age=31536000; includeSubDomains' };
const JSON_HEADERS = { 'Content-Type': 'application/json; charset=utf-8', ...STRICT_TRANSPORT };
const NO_BODY: JsonObject = {};

/** What the requests of one emulator share. */
export interface Service {
  readonly state: EmulatorState;
  readonly idScope: string;
  readonly authorization: ServiceAuthorization;
  readonly quota: Quota;
  readonly faults: Faults;
  readonly log: RequestLog;
  readonly registrations: Registrations;
  readonly challenges: TpmChallenges;
  now(): number;
  timestamp(): string;
  newEtag(): string;
}

/** Answers a request to either API. Never rejects. */
export async function handleRequest(
  service: Service,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = '', url = '' } = request;
  const question = url.indexOf('?');
  const path = question < 0 ? url : url.slice(0, question);
  const query = question < 0 ? '' : url.slice(question + 1);
  let operation: OperationName | undefined;
  let status: number | 'reset';
  try {
    const route = findRoute(method, path);
    operation = route.operation;
    const fault = service.faults.pick(operation);
    if (fault === undefined) {
      const answer = await answerOf(service, request, route, path, query);
      status = answer.status;
      send(response, answer);
    } else {
      status = await runFault(fault, request, response, {
        run: () => answerOrError(service, request, route, path, query),
        send: (answer) => send(response, answer),
        errorAnswer: (error) => errorAnswer(service, error),
      });
    }
  } catch (error) {
    const answer = errorAnswer(service, error);
    status = answer.status;
    send(response, answer);
  }
  service.log.add({ at: service.now(), method, path, operation, status });
}

async function answerOrError(...parameters: Parameters<typeof answerOf>): Promise<Answer> {
  try {
    return await answerOf(...parameters);
  } catch (error) {
    return errorAnswer(parameters[0], error);
  }
}

/** The checks, in the order in which a caller gets to see them: version, identity and rights, quota, body. */
async function answerOf(
  service: Service,
  request: IncomingMessage,
  route: Route,
  path: string,
  query: string,
): Promise<Answer> {
  const operation = OPERATIONS[route.operation];
  const apiVersion = /(?:^|&)api-version=([^&]*)/.exec(query)?.[1] ?? '';
  if (!API_VERSIONS.has(apiVersion)) throw new ServiceError('unsupportedApiVersion');
  const { headers, socket } = request;
  const isTls = socket instanceof TLSSocket;
  if (operation.right !== 'device') {
    service.authorization.require(operation.right, { authorization: headers.authorization, path, isTls });
  }
  takeQuota(service, route);
  const body = await readJson(operation, request);
  const call: Call = {
    ...service,
    timestamp: service.timestamp,
    newEtag: service.newEtag,
    route,
    apiVersion,
    isPreview: apiVersion === PREVIEW_VERSION,
    ifMatch: headers['if-match'],
    page: {
      maxItemCount: header(request, 'x-ms-max-item-count'),
      continuation: header(request, 'x-ms-continuation'),
    },
    credentials: { authorization: headers.authorization, chain: isTls ? presentedChain(socket) : [] },
    origin: `${isTls ? 'https' : 'http'}://${headers.host ?? 'localhost'}`,
    body,
  };
  return operation.run(call);
}

function takeQuota({ quota }: Service, { operation, id }: Route): void {
  let wait: number | undefined;
  if (operation === 'RuntimeRegistration_RegisterDevice') wait = quota.takeRegistration();
  else if (operation === 'RuntimeRegistration_OperationStatusLookup') wait = quota.takePoll(keyOf(id));
  else if (!isDeviceOperation(operation)) wait = quota.takeOperation();
  if (wait !== undefined) throw new ServiceError('throttled', undefined, { 'Retry-After': String(wait) });
}

async function readJson(operation: Operation, request: IncomingMessage): Promise<JsonObject> {
  if (operation.body === 'ignored') {
    request.resume();
    return NO_BODY;
  }
  const body = await readBody(request, MAX_BODY_BYTES);
  if (body === undefined) throw new ServiceError('bodyTooLarge');
  if (body.length === 0) {
    if (operation.body === 'optional') return NO_BODY;
    throw new ServiceError('invalidArgument', 'The body is missing.');
  }
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? ''))
    throw new ServiceError('unsupportedMediaType');
  return parseJsonObject(body);
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

const chains = new WeakMap<TLSSocket, X509Certificate[]>();

/** The client's certificates, leaf first. Kept with the connection: they cannot change on it. */
function presentedChain(socket: TLSSocket): X509Certificate[] {
  const known = chains.get(socket);
  if (known !== undefined) return known;
  const chain: X509Certificate[] = [];
  let certificate = socket.getPeerCertificate(true);
  // A self-signed certificate is its own issuer there.
  while (certificate?.raw !== undefined && !chain.some(({ raw }) => raw.equals(certificate.raw))) {
    chain.push(new X509Certificate(certificate.raw));
    certificate = certificate.issuerCertificate;
  }
  chains.set(socket, chain);
  return chain;
}

function errorAnswer(service: Service, error: unknown): Answer {
  const known = error instanceof ServiceError ? error : new ServiceError('internal');
  if (known !== error) console.error('The DPS emulator failed on a request:', error);
  const trackingId = randomUUID();
  return {
    status: known.status,
    text: JSON.stringify({
      errorCode: known.code,
      trackingId,
      message: known.message,
      timestampUtc: service.timestamp(),
    }),
    headers: { ...known.headers, 'x-ms-error-code': String(known.code), 'x-ms-request-id': trackingId },
  };
}

function isDeviceOperation(operation: OperationName): boolean {
  return operation.startsWith('Runtime');
}

function send(response: ServerResponse, { status, text, headers }: Answer): void {
  if (response.destroyed || response.headersSent) return;
  // No Content-Length: the service answers in chunks, too.
  response.writeHead(
    status,
    text === undefined ? { ...STRICT_TRANSPORT, ...headers } : { ...JSON_HEADERS, ...headers },
  );
  response.end(text);
}
