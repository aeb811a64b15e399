import { app } from '@azure/functions';

import { services, settings } from '../app.ts';
import { AuditRunningError } from '../audit/audit-running-error.ts';
import { httpFunction } from './http-function.ts';

app.timer('audit', {
  schedule: settings.auditSchedule,
  handler: async (_timer, context) => {
    try {
      const { auditRunner } = await services();
      await auditRunner.start();
    } catch (error) {
      if (!(error instanceof AuditRunningError)) {
        throw error;
      }
      context.warn(error.message);
    }
  },
});

httpFunction('audit-report', {
  route: 'audit',
  methods: ['GET'],
  auth: 'key',
  handle: async (request) => (await services()).audit.newest(request),
});

httpFunction('audit-runs', {
  route: 'audit/runs',
  methods: ['GET'],
  auth: 'key',
  handle: async ({ query }) => (await services()).audit.list(query.get('continuation')),
});

httpFunction('audit-run', {
  route: 'audit/runs/{id}',
  methods: ['GET'],
  auth: 'key',
  handle: async (request) => (await services()).audit.show(request.params.id ?? '', request),
});

httpFunction('audit-start', {
  route: 'audit/runs',
  methods: ['POST'],
  auth: 'key',
  handle: async (request) => (await services()).audit.start(request),
});
