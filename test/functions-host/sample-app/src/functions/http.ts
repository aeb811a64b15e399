import { app } from '@azure/functions';

app.http('listItems', {
  methods: ['GET'],
  route: 'items',
  handler: async (request) => ({ jsonBody: { q: request.query.get('q'), url: request.url } }),
});
app.http('addItem', {
  methods: ['POST'],
  route: 'items',
  authLevel: 'function',
  handler: async (request, context) => {
    const { n } = (await request.json()) as { n: number };
    context.log('adding', n);
    return {
      status: 201,
      headers: { location: '/somewhere' },
      cookies: [{ name: 's', value: '1', httpOnly: true, sameSite: 'Lax' }],
      jsonBody: { twice: n * 2, invocation: context.invocationId, name: context.functionName },
    };
  },
});
app.http('itemByNumber', {
  methods: ['GET'],
  route: 'items/{id:int}',
  handler: async (request) => ({ jsonBody: { number: request.params.id } }),
});
app.http('itemByName', {
  methods: ['GET'],
  route: 'items/{name}',
  handler: async (request) => ({ jsonBody: { name: request.params.name } }),
});
app.http('eventOfItem', {
  methods: ['GET'],
  route: 'items/{name}/events/{key?}',
  handler: async (request) => ({ jsonBody: { name: request.params.name, key: request.params.key ?? null } }),
});
app.http('files', {
  methods: ['GET'],
  route: 'files/{*path}',
  handler: async (request) => ({ jsonBody: { path: request.params.path ?? null } }),
});
app.http('onlyForMasters', {
  methods: ['GET'],
  authLevel: 'admin',
  handler: async () => ({ body: 'master' }),
});
app.http('throws', {
  methods: ['GET'],
  handler: async () => {
    throw new Error('thrown by the sample app');
  },
});
app.http('returnsNothing', { methods: ['POST'], handler: async () => undefined as never });
app.http('echo', {
  methods: ['POST', 'OPTIONS'],
  handler: async (request) => ({ body: Buffer.from(await request.arrayBuffer()) }),
});
app.http('header', {
  methods: ['GET'],
  handler: async (request) => ({ jsonBody: { x: request.headers.get('x-text') } }),
});
app.http('console', {
  methods: ['POST'],
  handler: async (request) => {
    const [stream = 'log', text] = (await request.text()).split(' ', 2) as ['log' | 'error', string];
    console[stream](text);
    return { status: 200 };
  },
});
app.http('turnedOff', { methods: ['GET'], handler: async () => ({ body: 'on' }) });
