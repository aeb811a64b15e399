import { notImplemented } from './broker-error.ts';
import { tokenFromBytes, tokenToBytes } from './lock-token.ts';
import { parseMessage } from './message.ts';
import { type Entity, inboxOf } from './namespace.ts';
import type { Queue } from './queue.ts';
import type { Settlement } from './queue-types.ts';
import type { Reply } from './request-reply.ts';
import { types } from './rhea.ts';
import { Topic } from './topic.ts';

/** The map that is the body of a request. */
type Arguments = Readonly<Record<string, unknown>>;

const longArray = 0x81;
const timestampArray = 0x83;
const settlements: Readonly<Record<string, Settlement['as']>> = {
  completed: 'complete',
  abandoned: 'abandon',
  defered: 'defer', // the protocol's own spelling
  suspended: 'deadLetter',
};

/** Carries out one operation of an entity's $management node. */
export function manage(entity: Entity, operation: string, given: Arguments): Reply {
  const body = perform(entity, operation.replace('com.microsoft:', ''), given);
  if (body === undefined) {
    return { status: 204, description: 'No Content' };
  }
  return { status: 200, description: 'OK', body };
}

function perform(entity: Entity, operation: string, given: Arguments): unknown {
  const inbox = inboxOf(entity);
  switch (operation) {
    case 'schedule-message':
      return { 'sequence-numbers': types.wrap_array(schedule(inbox, given), longArray) };
    case 'cancel-scheduled-message':
      for (const number of numbersOf(given)) {
        inbox.cancelScheduled(number);
      }
      return {};
  }
  if (entity instanceof Topic) {
    throw notImplemented(`'${operation}' of a topic`);
  }
  switch (operation) {
    case 'peek-message':
      return peek(entity, given);
    case 'renew-lock':
      return {
        expirations: types.wrap_array(
          tokensOf(given).map((token) => entity.renewLock(token)),
          timestampArray,
        ),
      };
    case 'receive-by-sequence-number':
      return { messages: receiveDeferred(entity, given) };
    case 'update-disposition':
      for (const token of tokensOf(given)) {
        entity.settle(token, settlementOf(given));
      }
      return {};
    default:
      throw notImplemented(`the operation '${operation}'`);
  }
}

function schedule(queue: Queue, given: Arguments): number[] {
  const messages = given.messages as readonly { readonly message: Buffer }[];
  return messages.map(({ message }) => queue.enqueue(parseMessage(message)));
}

function peek(queue: Queue, given: Arguments): unknown {
  const found = queue.peek(toNumber(given['from-sequence-number']), Number(given['message-count']));
  return found.length === 0 ? undefined : { messages: found.map((message) => ({ message })) };
}

function receiveDeferred(queue: Queue, given: Arguments): unknown[] {
  const received = queue.receiveDeferred(numbersOf(given), given['receiver-settle-mode'] === 1);
  return received.map((stored) => {
    const token = stored.lock && tokenToBytes(stored.lock.token);
    // Clients take the token from the one place or the other.
    return {
      message: queue.encode(stored, token),
      'lock-token': types.wrap_uuid(token ?? Buffer.alloc(16)),
    };
  });
}

function settlementOf(given: Arguments): Settlement {
  const status = String(given['disposition-status']);
  const as = settlements[status];
  if (as === undefined) {
    throw notImplemented(`the disposition status '${status}'`);
  }
  if (as === 'complete' || as === 'release') {
    return { as };
  }
  const properties = (given['properties-to-modify'] ?? {}) as Readonly<Record<string, unknown>>;
  const reason = given['deadletter-reason'];
  const description = given['deadletter-description'];
  return as === 'deadLetter' ? { as, reason, description, properties } : { as, properties };
}

function tokensOf(given: Arguments): string[] {
  return (given['lock-tokens'] as readonly Buffer[]).map(tokenFromBytes);
}

function numbersOf(given: Arguments): number[] {
  return (given['sequence-numbers'] as readonly unknown[]).map(toNumber);
}

/** rhea reads longs beyond 2^53 as bytes. */
function toNumber(value: unknown): number {
  return Buffer.isBuffer(value) ? Number(value.readBigInt64BE()) : Number(value);
}
