import { answerHandshake } from '../http/webhook-handshake.ts';
import { httpFunction } from './http-function.ts';

httpFunction('events-handshake', {
  route: 'events',
  methods: ['OPTIONS'],
  auth: 'none',
  handle: async (request) => answerHandshake(request),
});
