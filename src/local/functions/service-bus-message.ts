import type { ServiceBusReceivedMessage } from '@azure/service-bus';
import { requestFor } from './invocation.ts';
import { applicationProperty, dateTime, dateTimeOffset, noDateTime } from './message-values.ts';
import type { Binding, InvocationRequest, TypedData } from './protocol.ts';

/** A message that the real extension fails on: it is abandoned again and again, until it is a dead letter. */
export class UnreadableMessageError extends Error {
  constructor(bodyType: string) {
    super(
      `The message has an AMQP ${bodyType} body, which Azure Functions cannot read: it is delivered again until it is a ` +
        'dead letter. Send bytes (a data section; JMS: a BytesMessage).',
    );
    this.name = 'UnreadableMessageError';
  }
}

/** The invocation that a message makes. The body goes as text; the library parses it once if it is JSON. */
export function invocationOf(
  bindingName: string,
  binding: Binding,
  message: ServiceBusReceivedMessage,
): InvocationRequest {
  return requestFor(bindingName, bodyAs(binding, bodyOf(message)), { triggerMetadata: metadataOf(message) });
}

/** What an administrator sends by hand in place of a message: it was never on a queue, and its metadata says so. */
export function invocationByHand(bindingName: string, binding: Binding, input: string): InvocationRequest {
  const triggerMetadata = {
    DeliveryCount: { json: '0' },
    EnqueuedTimeUtc: { json: JSON.stringify(noDateTime) },
    EnqueuedTime: { json: JSON.stringify(`${noDateTime}+00:00`) },
    ApplicationProperties: { json: '{}' },
    UserProperties: { json: '{}' },
  };
  return requestFor(bindingName, bodyAs(binding, Buffer.from(input)), { triggerMetadata });
}

function bodyAs({ dataType }: Binding, body: Buffer): TypedData {
  return dataType === 'binary' ? { bytes: body } : { string: body.toString('utf8') };
}

function bodyOf({ body, _rawAmqpMessage }: ServiceBusReceivedMessage): Buffer {
  const { bodyType = 'data' } = _rawAmqpMessage;
  // A message without any body arrives as the value undefined.
  if (bodyType !== 'data' && body !== undefined) {
    throw new UnreadableMessageError(bodyType);
  }
  return body instanceof Uint8Array ? Buffer.from(body) : Buffer.alloc(0);
}

function metadataOf(message: ServiceBusReceivedMessage): Record<string, TypedData> {
  const properties = Object.fromEntries(
    Object.entries(message.applicationProperties ?? {}).map(([name, value]) => [
      name,
      applicationProperty(value),
    ]),
  );
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
    EnqueuedTimeUtc: message.enqueuedTimeUtc && dateTime(message.enqueuedTimeUtc),
    EnqueuedTime: message.enqueuedTimeUtc && dateTimeOffset(message.enqueuedTimeUtc),
    ExpiresAtUtc: message.expiresAtUtc && dateTime(message.expiresAtUtc),
    ExpiresAt: message.expiresAtUtc && dateTimeOffset(message.expiresAtUtc),
    ApplicationProperties: properties,
    UserProperties: properties,
  };
  const metadata: Record<string, TypedData> = {};
  for (const [name, text] of Object.entries(texts)) {
    if (text !== undefined && text !== null) {
      metadata[name] = { string: String(text) };
    }
  }
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined) {
      metadata[name] = { json: JSON.stringify(value) };
    }
  }
  return metadata;
}
