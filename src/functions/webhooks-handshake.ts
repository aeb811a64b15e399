import { answerHandshake } from '../http/webhook-handshake.ts';
import { httpFunction } from './http-function.ts';

httpFunction('webhooks-handshake', {
  route: 'webhooks/{sender}',
  methods: ['OPTIONS'],
  auth: 'none',
  handle: async (request) => answerHandshake(request),
});
