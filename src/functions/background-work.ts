import { app } from '@azure/functions';

import { services } from '../app.ts';
import { backgroundWorkQueue } from '../events/messaging-entities.ts';

app.serviceBusQueue('background-work', {
  connection: 'ServiceBusConnection',
  queueName: backgroundWorkQueue.name,
  handler: async (message, { triggerMetadata }) =>
    (await services()).backgroundWork.work(message, Math.max(1, Number(triggerMetadata?.deliveryCount ?? 1))),
});
