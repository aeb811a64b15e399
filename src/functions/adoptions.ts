import { services } from '../app.ts';
import { httpFunction } from './http-function.ts';

httpFunction('adoption-start', {
  route: 'adoptions',
  methods: ['POST'],
  auth: 'key',
  handle: async (request) => (await services()).adoptions.start(request),
});

httpFunction('adoption', {
  route: 'adoptions/{id}',
  methods: ['GET'],
  auth: 'key',
  handle: async ({ params }) => (await services()).adoptions.show(params.id ?? ''),
});
