import { adoptions, audit, list, moment, subject } from './openapi-fleet-paths.ts';
import {
  answer,
  content,
  continuation,
  credentials,
  inPath,
  inQuery,
  type Json,
  jsonType,
  noKey,
  problems,
  ref,
} from './openapi-parts.ts';

const postedEvents: Json = {
  required: true,
  content: {
    ...content('ManufacturingEvent', 'application/cloudevents+json'),
    ...content('ManufacturingEvents', 'application/cloudevents-batch+json'),
    [jsonType]: {
      schema: { anyOf: [ref('ManufacturingEvent'), ref('Definition'), ref('Notice')] },
    },
  },
};

function posting(operationId: string, summary: string, more: Json, refusals: readonly number[]): Json {
  const { parameters = [], ...rest } = more;
  return {
    operationId,
    summary,
    description:
      'Structured, batched and binary mode (with application/json: the data alone, its attributes in ce- headers). All events of a request are valid and queued, or none is. Event Grid’s validation event is answered with its code.',
    parameters: [
      { name: 'Prefer', in: 'header', schema: { type: 'string' }, example: 'wait=20' },
      ...(parameters as Json[]),
    ],
    requestBody: postedEvents,
    responses: {
      200: answer('With Prefer: wait, once all have ended, in the order of the request.', 'EventList'),
      202: answer('Queued. The status URLs answer from now on.', 'AcceptedEvents'),
      ...problems(...refusals),
    },
    ...rest,
  };
}

function handshake(operationId: string, parameters: readonly Json[] = []): Json {
  return {
    operationId,
    summary: 'The CloudEvents webhook handshake',
    parameters: [
      { name: 'WebHook-Request-Origin', in: 'header', required: true, schema: { type: 'string' } },
      ...parameters,
    ],
    responses: { 200: answer('Any origin may send.'), ...problems(400) },
    ...noKey,
  };
}

const rejected: Json = {
  '/rejected': {
    get: {
      operationId: 'rejected',
      summary: 'Rejected events, the newest first',
      parameters: [inQuery('reason'), inQuery('since', moment), inQuery('until', moment), continuation],
      responses: { 200: answer('A page.', 'RejectedEvents'), ...problems(400) },
    },
  },
  '/rejected/replay': {
    post: {
      operationId: 'rejected-replay',
      summary: 'Puts rejected events back on the queue; twice changes nothing',
      requestBody: { required: true, content: content('ReplayChoice') },
      responses: {
        200: answer('What was queued, and what was not.', 'Replayed'),
        ...problems(400, 411, 413, 503),
      },
    },
  },
};

const about: Json = {
  '/status': {
    get: {
      operationId: 'status',
      summary: 'Whether it runs: what waits, the circuit breaker, the quota, the last audit',
      responses: { 200: answer('Each part, or why it is not known.', 'Status'), ...problems(406) },
    },
  },
  '/health': {
    get: {
      operationId: 'health',
      summary: 'Whether the app is alive',
      responses: { 200: answer('It is.', 'Health') },
      ...noKey,
    },
  },
  '/health/deep': {
    get: {
      operationId: 'health-deep',
      summary: 'Whether DPS, Service Bus and tables can be reached and used',
      responses: {
        200: answer('They can.', 'DeepHealth'),
        503: answer('One of them cannot.', 'DeepHealth'),
      },
    },
  },
  '/openapi.json': {
    get: {
      operationId: 'openapi',
      summary: 'This document',
      responses: { 200: { description: 'OpenAPI 3.1.', content: { [jsonType]: {} } } },
      ...noKey,
    },
  },
};

export const paths: Json = {
  '/events': {
    post: posting('events', 'Takes CloudEvents', {}, [400, 411, 413, 415, 503]),
    options: handshake('events-handshake'),
  },
  '/webhooks/{sender}': {
    post: posting(
      'webhooks',
      'Takes CloudEvents of senders that sign as Standard Webhooks says',
      {
        parameters: [inPath('sender')],
        security: [{ webhookId: [], webhookTimestamp: [], webhookSignature: [] }],
      },
      [400, 401, 403, 411, 413, 415, 503],
    ),
    options: handshake('webhooks-handshake', [inPath('sender')]),
  },
  '/devices': list('device', 'The devices of the fleet', 'DeviceList'),
  '/batches': list('batch', 'The batches of the fleet', 'BatchList'),
  ...subject('device', 'registrationId', 'Device'),
  ...credentials,
  ...subject('batch', 'batchId', 'Batch'),
  ...audit,
  ...adoptions,
  ...rejected,
  ...about,
};
