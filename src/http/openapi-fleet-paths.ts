import { findingCodes } from '../audit/finding.ts';
import { type FleetFilter, filterNames, filterValues } from '../fleet/fleet-filter.ts';
import { answer, content, continuation, inPath, inQuery, type Json, problems } from './openapi-parts.ts';

export function subject(kind: 'device' | 'batch', parameter: string, schema: string): Json {
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

export function list(kind: 'device' | 'batch', summary: string, schema: string): Json {
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

export const moment = {
  anyOf: [
    { type: 'string', format: 'date-time' },
    { type: 'string', format: 'date' },
  ],
};

export const audit: Json = {
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

export const adoptions: Json = {
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
