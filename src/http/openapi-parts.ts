/** The routes of `GET /api/openapi.json`: a test holds them against those that the app registers. */
export type Json = Readonly<Record<string, unknown>>;

export const jsonType = 'application/json';

export function ref(schema: string): Json {
  return { $ref: `#/components/schemas/${schema}` };
}

export function content(schema: string, type = jsonType): Json {
  return { [type]: { schema: ref(schema) } };
}

export function answer(description: string, schema?: string): Json {
  return schema === undefined ? { description } : { description, content: content(schema) };
}

export function problems(...statuses: readonly number[]): Json {
  const descriptions: Readonly<Record<number, string>> = {
    400: 'The request is wrong; errors say which event and where.',
    401: 'Unknown sender, or missing, late or wrong signature.',
    403: 'Events are beyond what this sender may send. Nothing was kept.',
    404: 'Not found.',
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

export function inPath(name: string): Json {
  return { name, in: 'path', required: true, schema: { type: 'string' } };
}

export function inQuery(name: string, schema: Json = { type: 'string' }): Json {
  return { name, in: 'query', schema };
}

export const credentials: Json = {
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

export const continuation = inQuery('continuation');

export const noKey = { security: [] };
