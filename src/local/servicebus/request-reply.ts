import { BrokerError } from './broker-error.ts';
import { type DecodedMessage, type EventContext, types } from './rhea.ts';

export interface Reply {
  readonly status: number;
  readonly description: string;
  readonly body?: unknown;
  readonly condition?: string;
}

/** Answers a request to $cbs or $management on the link that its `reply-to` names. */
export function reply(context: EventContext, answer: Reply): void {
  const request = context.message as DecodedMessage;
  const link = context.session.find_sender(
    (candidate) => candidate.name === request.reply_to || candidate.target?.address === request.reply_to,
  );
  link?.send({
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
  });
  context.delivery.accept();
}

export function replyOf(error: unknown): Reply {
  const known =
    error instanceof BrokerError ? error : new BrokerError('amqp:internal-error', String(error), 500);
  return { status: known.status, description: known.message, condition: known.condition };
}
