import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { ServiceError } from './errors.ts';
import type { FaultRule } from './faults.ts';
import type { EmulatorResponse, ReplyChannel } from './responses.ts';

const garbageBody = '<html>\u0000 this is no JSON {"errorCode": ';

/**
 * Lets a fault happen to a request.
 * @param run runs the operation; its error is an answer, too.
 * @param refuse the error of the status that was asked for; by default in the shape of DPS.
 * @returns the status that the client was sent, or `reset`.
 */
export async function runFault(
  fault: FaultRule,
  run: () => Promise<EmulatorResponse>,
  reply: ReplyChannel,
  refuse: (fault: FaultRule, status: number) => EmulatorResponse = refusal,
): Promise<number | 'reset'> {
  if (fault.latencyMs !== undefined) {
    await delay(fault.latencyMs);
  }
  if (fault.reset === 'before') {
    reply.cut();
    return 'reset';
  }
  const response = fault.status === undefined ? await run() : refuse(fault, fault.status);
  if (fault.reset === 'after') {
    reply.cut();
    return 'reset';
  }
  if (fault.body === 'truncated') {
    reply.sendHalf(response);
  } else {
    reply.send(fault.body === 'garbage' ? { ...response, text: garbageBody } : response);
  }
  return response.status;
}

function refusal({ errorCode, retryAfter }: FaultRule, status: number): EmulatorResponse {
  const trackingId = randomUUID();
  const code = errorCode ?? status * 1000 + 1;
  const message = status === 429 ? new ServiceError('throttled').message : (STATUS_CODES[status] ?? 'Fault');
  return {
    status,
    text: JSON.stringify({ errorCode: code, trackingId, message, timestampUtc: new Date().toISOString() }),
    headers: {
      'x-ms-error-code': String(code),
      'x-ms-request-id': trackingId,
      ...(retryAfter === undefined ? {} : { 'Retry-After': retryAfter }),
    },
  };
}
