import { BrokerError } from './broker-error.ts';
import { type DecodedMessage, type EventContext, types } from './rhea.ts';

export interface Reply {
  readonly status: number;
  readonly description: string;
  readonly body?: unknown;
  readonly condition?: string;
}

/**
 * Answers a request to $cbs or $management on the link that its `reply-to` names; where there is none (uamqp), on the link
 * that comes from the node that was asked.
 */
export function reply(context: EventContext, answer: Reply): void {
  const request = context.message as DecodedMessage;
  const node = context.receiver.target?.address;
  const link =
    request.reply_to === undefined
      ? context.session.find_sender((candidate) => candidate.source?.address === node)
      : context.session.find_sender(
          ({ name, target }) => name === request.reply_to || target?.address === request.reply_to,
        );
  const response = {
    correlation_id: request.message_id,
    body: answer.body,
    application_properties: {
      // $management calls it statusCode, $cbs status-code: whoever asks finds theirs.
      statusCode: types.wrap_int(answer.status),
      'status-code': types.wrap_int(answer.status),
      statusDescription: answer.description,
      'status-description': answer.description,
      ...(answer.condition !== undefined && {
        errorCondition: types.wrap_symbol(answer.condition),
        'error-condition': types.wrap_symbol(answer.condition),
      }),
    },
  };
  context.delivery.accept();
  setImmediate(() => link?.send(response)); // uamqp takes an answer before the acceptance of its request for none
}

export function replyOf(error: unknown): Reply {
  const known =
    error instanceof BrokerError ? error : new BrokerError('amqp:internal-error', String(error), 500);
  return { status: known.status, description: known.message, condition: known.condition };
}
