import { services } from '../app.ts';
import { httpFunction } from './http-function.ts';

httpFunction('batch-list', {
  route: 'batches',
  methods: ['GET'],
  auth: 'key',
  handle: async (request) => (await services()).fleet.list('batch', request),
});

httpFunction('batches', {
  route: 'batches/{batchId}',
  methods: ['GET'],
  auth: 'key',
  handle: async (request) => (await services()).subjects.show('batch', request.params.batchId ?? '', request),
});

httpFunction('batch-events', {
  route: 'batches/{batchId}/events',
  methods: ['GET'],
  auth: 'key',
  handle: async ({ params, query }) =>
    (await services()).subjects.listEvents('batch', params.batchId ?? '', query.get('continuation')),
});

httpFunction('batch-event', {
  route: 'batches/{batchId}/events/{key}',
  methods: ['GET'],
  auth: 'key',
  handle: async ({ params }) =>
    (await services()).subjects.showEvent('batch', params.batchId ?? '', params.key ?? ''),
});
