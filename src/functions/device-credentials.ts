import { services } from '../app.ts';
import { httpFunction } from './http-function.ts';

/** A function of its own, so that its key opens nothing else, and no other function's key opens it. */
httpFunction('device-credentials', {
  route: 'devices/{registrationId}/credentials',
  methods: ['POST'],
  auth: 'key',
  handle: async (request) => (await services()).credentials.issue(request),
});
