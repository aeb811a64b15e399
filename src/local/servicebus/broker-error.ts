/** An error of the broker as the client sees it: AMQP condition, text, and the status code of $cbs and $management. */
export class BrokerError extends Error {
  readonly condition: string;
  readonly status: number;

  constructor(condition: string, message: string, status: number) {
    super(message);
    this.name = 'BrokerError';
    this.condition = condition;
    this.status = status;
  }
}

export function lockLost(): BrokerError {
  return new BrokerError(
    'com.microsoft:message-lock-lost',
    'The lock supplied is invalid. Either the lock expired, or the message has already been removed from the queue, ' +
      'or was received by a different receiver instance.',
    410,
  );
}

export function messageNotFound(sequenceNumbers: readonly number[]): BrokerError {
  return new BrokerError(
    'com.microsoft:message-not-found',
    `Failed to find one or more specified messages. Sequence numbers: ${sequenceNumbers.join(', ')}.`,
    404,
  );
}

export function entityNotFound(address: string): BrokerError {
  return new BrokerError(
    'amqp:not-found',
    `The messaging entity '${address}' could not be found. To know more visit https://aka.ms/sbResourceMgrExceptions.`,
    404,
  );
}

export function messageTooLarge(size: number, maximum: number): BrokerError {
  return new BrokerError(
    'amqp:link:message-size-exceeded',
    `The received message (size: ${size} bytes) exceeds the limit (${maximum} bytes) currently allowed on the link.`,
    403,
  );
}

export function notAllowed(message: string): BrokerError {
  return new BrokerError('amqp:not-allowed', message, 400);
}

export function notImplemented(what: string): BrokerError {
  return new BrokerError('amqp:not-implemented', `This emulator does not implement ${what}.`, 501);
}
