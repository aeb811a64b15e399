import { app } from '@azure/functions';

import { services } from '../app.ts';

app.timer('queue-watch', {
  schedule: '0 */5 * * * *',
  handler: async () => (await services()).queueWatch.look(),
});
