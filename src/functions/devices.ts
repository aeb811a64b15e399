import { services } from '../app.ts';
import { httpFunction } from './http-function.ts';

httpFunction('device-list', {
  route: 'devices',
  methods: ['GET'],
  auth: 'key',
  handle: async (request) => (await services()).fleet.list('device', request),
});

httpFunction('devices', {
  route: 'devices/{registrationId}',
  methods: ['GET'],
  auth: 'key',
  handle: async (request) =>
    (await services()).subjects.show('device', request.params.registrationId ?? '', request),
});

httpFunction('device-events', {
  route: 'devices/{registrationId}/events',
  methods: ['GET'],
  auth: 'key',
  handle: async ({ params, query }) =>
    (await services()).subjects.listEvents('device', params.registrationId ?? '', query.get('continuation')),
});

httpFunction('device-event', {
  route: 'devices/{registrationId}/events/{key}',
  methods: ['GET'],
  auth: 'key',
  handle: async ({ params }) =>
    (await services()).subjects.showEvent('device', params.registrationId ?? '', params.key ?? ''),
});
