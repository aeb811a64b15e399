import { services } from '../app.ts';
import { httpFunction } from './http-function.ts';

httpFunction('webhooks', {
  route: 'webhooks/{sender}',
  methods: ['POST'],
  auth: 'none', // but signed
  handle: async (request) => (await services()).webhooks.accept(request.params.sender ?? '', request),
});
