import { app } from '@azure/functions';

import { services } from '../app.ts';
import { backgroundWorkQueue } from '../events/messaging-entities.ts';

app.serviceBusQueue('background-work', {
  connection: 'ServiceBusConnection',
  queueName: backgroundWorkQueue.name,
  handler: async (message) => (await services()).backgroundWork.work(message),
});
