import { findingCodes } from '../audit/finding.ts';
import { type FleetFilter, filterNames, filterValues } from '../fleet/fleet-filter.ts';

/** The routes of `GET /api/openapi.json`: a test holds them against those that the app registers. */

type Json = Readonly<Record<string, unknown>>;

const jsonType = 'application/json';

function ref(schema: string): Json {
  return { $ref: `#/components/schemas/${schema}` };
}

function content(schema: string, type = jsonType): Json {
  return { [type]: { schema: ref(schema) } };
}

function answer(description: string, schema?: string): Json {
  return schema === undefined ? { description } : { description, content: content(schema) };
}

function problems(...statuses: readonly number[]): Json {
  const descriptions: Readonly<Record<number, string>> = {
    400: 'The request is wrong; errors say which event and where.',
    401: 'Unknown sender, or missing, late or wrong signature.',
    403: 'Events are beyond what this sender may send. Nothing was kept.',
    404: 'There is none.',
    406: 'None of the accepted representations is offered.',
    409: 'An audit is running already: Location names it.',
    411: 'The body came in chunks, without a Content-Length.',
    413: 'More than 1 MiB or 1,000 events.',
    415: 'Not a media type that is read here.',
    503: 'A service that is needed does not answer: Retry-After says when to come again.',
  };
  return Object.fromEntries(statuses.map((status) => [status, problemResponse(descriptions[status])]));
}

function problemResponse(description: string | undefined): Json {
  return { description, content: content('Problem', 'application/problem+json') };
}

function inPath(name: string): Json {
  return { name, in: 'path', required: true, schema: { type: 'string' } };
}

function inQuery(name: string, schema: Json = { type: 'string' }): Json {
  return { name, in: 'query', schema };
}

const credentials: Json = {
  '/devices/{registrationId}/credentials': {
    post: {
      operationId: 'device-credentials',
      summary: 'What the line writes into the device',
      description:
        'Off unless CREDENTIALS is on. Its keys from DPS, or derived from its group’s; thumbprints where it has a certificate. The request is noted in the device’s history. The body is not looked at.',
      parameters: [inPath('registrationId')],
      responses: {
        200: answer('Write it into the device, and nowhere else. Not to be stored.', 'DeviceCredentials'),
        403: problemResponse('Credentials are not handed out here: CREDENTIALS is off.'),
        404: problemResponse('No event has defined the device.'),
        409: problemResponse(
          'It must not have them (held or scrapped, or its batch is held, recalled or retired), or its events have not reached DPS yet.',
        ),
        429: problemResponse('Too many this minute: Retry-After says when there is room again.'),
        ...problems(411, 503),
      },
    },
  },
};

const continuation = inQuery('continuation');
const noKey = { security: [] };

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

function subject(kind: 'device' | 'batch', parameter: string, schema: string): Json {
  const routes = kind === 'device' ? '/devices' : '/batches';
  return {
    [`${routes}/{${parameter}}`]: {
      get: {
        operationId: kind === 'device' ? 'devices' : 'batches',
        summary: 'What should be, what is and what it did',
        parameters: [inPath(parameter), inQuery('format', { enum: ['json', 'html'] })],
        responses: {
          200: {
            description: 'By Accept, or ?format=.',
            content: { ...content(schema), 'text/html': {} },
          },
          ...problems(404, 503),
        },
      },
    },
    [`${routes}/{${parameter}}/events`]: {
      get: {
        operationId: `${kind}-events`,
        summary: 'Its events, the newest first',
        parameters: [inPath(parameter), continuation],
        responses: { 200: answer('A page.', 'EventList') },
      },
    },
    [`${routes}/{${parameter}}/events/{key}`]: {
      get: {
        operationId: `${kind}-event`,
        summary: 'One event: its status and its outcome',
        parameters: [inPath(parameter), inPath('key')],
        responses: { 200: answer('The event.', 'EventStatus'), ...problems(404) },
      },
    },
  };
}

const listFilters: Readonly<Record<keyof FleetFilter, Json>> = {
  q: inQuery('q'),
  product: inQuery('product'),
  batch: inQuery('batch'),
  label: inQuery('label', { type: 'string', pattern: '^[^:]+:.+$' }),
  enrollmentGroup: inQuery('enrollmentGroup'),
  hub: inQuery('hub'),
  state: inQuery('state', { enum: filterValues.state }),
  life: inQuery('life'),
  finding: inQuery('finding', { enum: findingCodes }),
  held: inQuery('held', { type: 'boolean' }),
  pending: inQuery('pending', { type: 'boolean' }),
};

function list(kind: 'device' | 'batch', summary: string, schema: string): Json {
  const life = inQuery('life', { enum: filterValues.life[kind] });
  return {
    get: {
      operationId: `${kind}-list`,
      summary,
      description:
        'All filters hold at once. q: the beginning of an id, a device id or a label’s value. A page may be short, or empty, and have a continuation all the same. CSV has all rows of the filter, up to 10,000 a file: Link names the next.',
      parameters: [
        ...filterNames[kind].map((name) => (name === 'life' ? life : listFilters[name])),
        continuation,
        inQuery('format', { enum: ['json', 'csv', 'html'] }),
        inQuery('delimiter', { enum: ['comma', 'semicolon'] }),
      ],
      responses: {
        200: {
          description: 'By Accept, or ?format=.',
          content: { ...content(schema), 'text/csv': {}, 'text/html': {} },
        },
        ...problems(400, 406),
      },
    },
  };
}

const report: Json = {
  200: {
    description: 'By Accept, or ?format=.',
    content: { ...content('AuditRun'), 'text/html': {}, 'text/csv': {} },
  },
  ...problems(400, 404, 406),
};
const reportParameters = [
  inQuery('format', { enum: ['json', 'html', 'csv'] }),
  inQuery('since'),
  inQuery('delimiter', { enum: ['comma', 'semicolon'] }),
];
const moment = {
  anyOf: [
    { type: 'string', format: 'date-time' },
    { type: 'string', format: 'date' },
  ],
};

const audit: Json = {
  '/audit': {
    get: {
      operationId: 'audit-report',
      summary: 'The newest finished audit',
      parameters: reportParameters,
      responses: report,
    },
  },
  '/audit/runs': {
    get: {
      operationId: 'audit-runs',
      summary: 'All runs, the newest first',
      parameters: [continuation],
      responses: { 200: answer('A page.', 'AuditRuns') },
    },
    post: {
      operationId: 'audit-start',
      summary: 'Starts an audit',
      responses: { 202: answer('It runs. Location names it.', 'StartedAuditRun'), ...problems(409) },
    },
  },
  '/audit/runs/{id}': {
    get: {
      operationId: 'audit-run',
      summary: 'A run and its progress, or its report',
      parameters: [inPath('id'), ...reportParameters],
      responses: report,
    },
  },
};

const adoptions: Json = {
  '/adoptions': {
    post: {
      operationId: 'adoption-start',
      summary: 'Takes what DPS has into the ledger, or undoes that',
      description:
        'Nothing is changed in DPS, and no key is read. With dryRun: says what would be taken. What the ledger has already stays as it is.',
      requestBody: { required: true, content: content('AdoptionRequest') },
      responses: {
        202: answer('It runs. Location names it.', 'StartedAdoption'),
        ...problems(400, 404, 413),
        409: {
          description: 'There is nothing to undo.',
          content: content('Problem', 'application/problem+json'),
        },
      },
    },
  },
  '/adoptions/{id}': {
    get: {
      operationId: 'adoption',
      summary: 'An adoption and its progress',
      parameters: [inPath('id')],
      responses: { 200: answer('As it stands.', 'Adoption'), ...problems(404) },
    },
  },
};

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
