import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import { apiVersions, previewVersion } from './api-versions.ts';
import { presentedChain } from './client-certificates.ts';
import { ServiceError } from './errors.ts';
import { isFromForeignPage } from './foreign-pages.ts';
import { httpReply } from './http-reply.ts';
import { type JsonObject, parseJsonObject } from './json-input.ts';
import { maxBodyBytes } from './limits.ts';
import { type Call, type Operation, operations } from './operations.ts';
import { readBody } from './request-body.ts';
import { serveRequest, takeQuota } from './requests.ts';
import type { EmulatorResponse } from './responses.ts';
import { findRoute, type Route } from './routes.ts';
import type { Service } from './service.ts';

const noBody: JsonObject = {};

/** Answers a request to either API. Never rejects. */
export function handleRequest(
  service: Service,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = '', url = '' } = request;
  const question = url.indexOf('?');
  const path = question < 0 ? url : url.slice(0, question);
  const query = question < 0 ? '' : url.slice(question + 1);
  const incoming = {
    method,
    path,
    findRoute: () => findRoute(method, path),
    run: (route: Route) => responseOf(service, request, route, path, query),
  };
  return serveRequest(service, incoming, httpReply(request, response));
}

/** The checks, in the order in which a caller gets to see them: version, identity and rights, quota, body. */
async function responseOf(
  service: Service,
  request: IncomingMessage,
  route: Route,
  path: string,
  query: string,
): Promise<EmulatorResponse> {
  const operation = operations[route.operation];
  const apiVersion = /(?:^|&)api-version=([^&]*)/.exec(query)?.[1] ?? '';
  if (!apiVersions.has(apiVersion)) {
    throw new ServiceError('unsupportedApiVersion');
  }
  if (isFromForeignPage(request)) {
    throw new ServiceError('foreignPage');
  }
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
    isPreview: apiVersion === previewVersion,
    ifMatch: headers['if-match'],
    page: {
      maxItemCount: header(request, 'x-ms-max-item-count'),
      continuation: header(request, 'x-ms-continuation'),
    },
    credentials: {
      transport: 'http',
      authorization: headers.authorization,
      chain: isTls ? presentedChain(socket) : [],
    },
    origin: `${isTls ? 'https' : 'http'}://${headers.host ?? 'localhost'}`,
    body,
  };
  return operation.run(call);
}

async function readJson(operation: Operation, request: IncomingMessage): Promise<JsonObject> {
  if (operation.body === 'ignored') {
    request.resume();
    return noBody;
  }
  const body = await readBody(request, maxBodyBytes);
  if (body === undefined) {
    throw new ServiceError('bodyTooLarge');
  }
  if (body.length === 0) {
    if (operation.body === 'optional') {
      return noBody;
    }
    throw new ServiceError('invalidArgument', 'The body is missing.');
  }
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
    throw new ServiceError('unsupportedMediaType');
  }
  return parseJsonObject(body);
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
