import { services } from '../app.ts';
import { json } from '../http/http-response.ts';
import { httpFunction } from './http-function.ts';

httpFunction('health', {
  route: 'health',
  methods: ['GET'],
  auth: 'none',
  handle: async () => json(200, { status: 'healthy' }),
});

httpFunction('health-deep', {
  route: 'health/deep',
  methods: ['GET'],
  auth: 'key',
  handle: async () => (await services()).health(),
});
