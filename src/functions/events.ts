import { services } from '../app.ts';
import { httpFunction } from './http-function.ts';

httpFunction('events', {
  route: 'events',
  methods: ['POST'],
  auth: 'key',
  handle: async (request) => (await services()).intake.accept(request),
});
