import { app, type InvocationContext, trigger } from '@azure/functions';

import { services } from '../app.ts';
import { manufacturingEventsQueue } from '../events/messaging-entities.ts';

/** One message an invocation. The body comes as bytes, so that a body that is no JSON is evaluated as what it is. */
app.generic('manufacturing-events', {
  trigger: trigger.generic({
    type: 'serviceBusTrigger',
    connection: 'ServiceBusConnection',
    queueName: manufacturingEventsQueue.name,
    cardinality: 'one',
    dataType: 'binary',
  }),
  handler: async (body: unknown, context: InvocationContext) => {
    const { clock, processor, decode } = await services();
    const { applicationProperties, contentType, enqueuedTime, deliveryCount, messageId, sequenceNumber } =
      context.triggerMetadata ?? {};
    const message = decode({
      body: bytesOf(body),
      contentType: typeof contentType === 'string' ? contentType : undefined,
      properties: (applicationProperties ?? {}) as Record<string, unknown>,
      enqueuedAt: enqueuedAt(enqueuedTime) ?? clock.now(),
      deliveryCount: Math.max(1, Number(deliveryCount ?? 1)),
      // The library makes a number of an id of digits alone.
      messageId: messageId === undefined ? undefined : String(messageId),
      name: sequenceNumber === undefined ? undefined : String(sequenceNumber),
    });
    await processor.process(message);
  },
});

/**
 * `EnqueuedTime` names its zone; `EnqueuedTimeUtc` does not, and would be read in the zone of `TZ`. A message made by hand was
 * never enqueued: .NET has the year 1 for that.
 */
function enqueuedAt(enqueuedTime: unknown): Date | undefined {
  const at = new Date(String(enqueuedTime));
  return at.getUTCFullYear() > 1 ? at : undefined;
}

/** Bytes, as `dataType` asks for. */
function bytesOf(body: unknown): Uint8Array {
  if (body instanceof Uint8Array) {
    return body;
  }
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}
