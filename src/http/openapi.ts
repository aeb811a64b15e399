import * as z from 'zod';
import { type HttpResponse, json } from './http-response.ts';
import { paths } from './openapi-paths.ts';
import { named } from './openapi-schemas.ts';

/** `GET /api/openapi.json`: made of the schemas that evaluate requests, and of those that tests hold answers against. */
export function openApi(): HttpResponse {
  return json(200, openApiDocument());
}

export function openApiDocument() {
  return {
    openapi: '3.1.1',
    info: {
      title: 'Enrollment pipeline',
      version: '1',
      description:
        'Turns manufacturing events into enrollments in Azure IoT Hub Device Provisioning Service. Ask for a key of each function that you call, and for no other.',
    },
    servers: [{ url: '/api' }],
    security: [{ functionKey: [] }, { functionKeyInQuery: [] }],
    paths,
    components: { schemas: schemas(), securitySchemes },
  };
}

function header(name: string) {
  return { type: 'apiKey', in: 'header', name } as const;
}

const securitySchemes = {
  functionKey: header('x-functions-key'),
  functionKeyInQuery: { type: 'apiKey', in: 'query', name: 'code' },
  webhookId: header('webhook-id'),
  webhookTimestamp: header('webhook-timestamp'),
  webhookSignature: header('webhook-signature'),
};

/** Of what is read, not of what is made of it: what is not known is ignored, so nothing forbids it. */
function schemas() {
  const made = z.toJSONSchema(named, {
    io: 'input',
    unrepresentable: 'any',
    uri: (id) => `#/components/schemas/${id}`,
  });
  return Object.fromEntries(
    Object.entries(made.schemas).map(([id, { $id: _, $schema: __, ...schema }]) => [id, schema]),
  );
}
