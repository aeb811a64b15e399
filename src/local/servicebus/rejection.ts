import { BrokerError } from './broker-error.ts';
import { type AmqpError, type Delivery, type Link, messages, types } from './rhea.ts';

const dispositionFrame = 0x15;

export function amqpErrorOf(error: unknown): AmqpError {
  if (error instanceof BrokerError) {
    return { condition: error.condition, description: error.message };
  }
  return { condition: 'amqp:internal-error', description: String(error) };
}

/**
 * Refuses one delivery with a frame of its own: rhea merges neighbouring dispositions of one flush even when their
 * outcomes differ, and this one must not be swallowed by an acceptance beside it.
 */
export function rejectAlone(link: Link, delivery: Delivery, error: unknown): void {
  delivery.settled = true;
  delivery.remote_settled = true;
  const outcome = messages.rejected({ error: amqpErrorOf(error) }).described();
  const fields = [
    types.wrap_boolean(link.is_receiver()),
    types.wrap_uint(delivery.id),
    types.wrap_uint(delivery.id),
    types.wrap_boolean(true),
    outcome,
  ];
  link.session.output({
    described: () => types.described(types.wrap_ulong(dispositionFrame), types.wrap_list(fields)),
  });
  link.connection._register();
}
