import { services } from '../app.ts';
import { siteFunction } from './http-function.ts';

/** Pages for people, who sign in: see `SIGN_IN`. */
siteFunction('fleet', {
  route: 'fleet/{*rest}',
  methods: ['GET', 'POST'],
  handle: async (request) => (await (await services()).site()).answer(request),
});
