import { services } from '../app.ts';
import { httpFunction } from './http-function.ts';

httpFunction('status', {
  route: 'status',
  methods: ['GET'],
  auth: 'key',
  handle: async (request) => (await services()).status.answer(request),
});
