import { app } from '@azure/functions';

import { services } from '../app.ts';
import { AuditRunningError } from '../audit/audit-store.ts';
import { httpFunction } from './http-function.ts';

app.timer('audit', {
  schedule: services.settings.auditSchedule,
  handler: async (_timer, context) => {
    try {
      await services.auditRunner.start();
    } catch (error) {
      if (!(error instanceof AuditRunningError)) throw error;
      context.warn(error.message);
    }
  },
});

httpFunction('audit-report', {
  route: 'audit',
  methods: ['GET'],
  auth: 'key',
  handle: (request) => services.audit.newest(request),
});

httpFunction('audit-runs', {
  route: 'audit/runs',
  methods: ['GET'],
  auth: 'key',
  handle: ({ query }) => services.audit.list(query.get('continuation')),
});

httpFunction('audit-run', {
  route: 'audit/runs/{id}',
  methods: ['GET'],
  auth: 'key',
  handle: (request) => services.audit.show(request.params.id ?? '', request),
});

httpFunction('audit-start', {
  route: 'audit/runs',
  methods: ['POST'],
  auth: 'key',
  handle: (request) => services.audit.start(request),
});
