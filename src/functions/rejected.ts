import { services } from '../app.ts';
import { httpFunction } from './http-function.ts';

httpFunction('rejected', {
  route: 'rejected',
  methods: ['GET'],
  auth: 'key',
  handle: async (request) => (await services()).rejectedResource.list(request),
});

httpFunction('rejected-replay', {
  route: 'rejected/replay',
  methods: ['POST'],
  auth: 'key',
  handle: async (request) => (await services()).rejectedResource.replay(request),
});
