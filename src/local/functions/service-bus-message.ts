import type { ServiceBusReceivedMessage } from '@azure/service-bus';
import { requestFor } from './invocation.ts';
import type { Binding, InvocationRequest, TypedData } from './protocol.ts';

/** The invocation that a message makes. The body goes as text; the library parses it once if it is JSON. */
export function invocationOf(
  bindingName: string,
  binding: Binding,
  message: ServiceBusReceivedMessage,
): InvocationRequest {
  const body = bodyOf(message);
  const data: TypedData = binding.dataType === 'binary' ? { bytes: body } : { string: body.toString('utf8') };
  return requestFor(bindingName, data, { triggerMetadata: metadataOf(message) });
}

/** What an administrator sends by hand in place of a message. */
export function invocationByHand(bindingName: string, input: string): InvocationRequest {
  return requestFor(bindingName, { string: input }, { triggerMetadata: { DeliveryCount: { json: '1' } } });
}

function bodyOf({ body }: ServiceBusReceivedMessage): Buffer {
  if (body === undefined || body === null) return Buffer.alloc(0);
  if (body instanceof Uint8Array) return Buffer.from(body);
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

function metadataOf(message: ServiceBusReceivedMessage): Record<string, TypedData> {
  const properties = message.applicationProperties ?? {};
  const texts = {
    MessageId: message.messageId,
    LockToken: message.lockToken,
    ContentType: message.contentType,
    CorrelationId: message.correlationId,
    Subject: message.subject,
    Label: message.subject,
    To: message.to,
    ReplyTo: message.replyTo,
    SessionId: message.sessionId,
    PartitionKey: message.partitionKey,
    DeadLetterSource: message.deadLetterSource,
  };
  const values = {
    DeliveryCount: (message.deliveryCount ?? 0) + 1, // the client counts from 0, Functions from 1
    SequenceNumber: Number(message.sequenceNumber ?? 0),
    EnqueuedTimeUtc: message.enqueuedTimeUtc,
    EnqueuedTime: message.enqueuedTimeUtc,
    ExpiresAtUtc: message.expiresAtUtc,
    ExpiresAt: message.expiresAtUtc,
    ApplicationProperties: properties,
    UserProperties: properties,
  };
  const metadata: Record<string, TypedData> = {};
  for (const [name, text] of Object.entries(texts)) {
    if (text !== undefined && text !== null) metadata[name] = { string: String(text) };
  }
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined) metadata[name] = { json: JSON.stringify(value) };
  }
  return metadata;
}
