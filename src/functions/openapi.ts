import { httpFunction } from './http-function.ts';

httpFunction('openapi', {
  route: 'openapi.json',
  methods: ['GET'],
  auth: 'none',
  handle: async () => (await import('../http/openapi.ts')).openApi(),
});
