import type { OperationName } from '../routes.ts';

/** The one filter that a device may subscribe to. */
export const responseFilter = '$dps/registrations/res/#';

export interface RequestTopic {
  readonly operation: Extract<
    OperationName,
    'RuntimeRegistration_RegisterDevice' | 'RuntimeRegistration_OperationStatusLookup'
  >;
  /** As the device wrote it: it goes back in the response. */
  readonly rid: string;
  /** Empty for a registration. */
  readonly operationId: string;
}

/**
 * Visible ASCII without `#`, `+` and `&`, which have a meaning in topics and queries. Its length is limited, because the
 * topic of a response, which repeats it, must be no longer than MQTT allows.
 */
const topicValue = `[!"$%'()*,-~]{1,1024}`;
const registerTopic = new RegExp(`^\\$dps/registrations/PUT/iotdps-register/\\?\\$rid=(${topicValue})$`);
const operationStatus = new RegExp(
  `^\\$dps/registrations/GET/iotdps-get-operationstatus/\\?\\$rid=(${topicValue})&operationId=(${topicValue})$`,
);

/** Reads a topic, in the one form that is documented. @returns undefined if it is another. */
export function parseRequestTopic(topic: string): RequestTopic | undefined {
  const [, rid] = registerTopic.exec(topic) ?? [];
  if (rid !== undefined) {
    return { operation: 'RuntimeRegistration_RegisterDevice', rid, operationId: '' };
  }
  const [, pollRid, operationId] = operationStatus.exec(topic) ?? [];
  if (pollRid === undefined || operationId === undefined) {
    return undefined;
  }
  return {
    operation: 'RuntimeRegistration_OperationStatusLookup',
    rid: pollRid,
    operationId: decode(operationId),
  };
}

/** `$rid` comes first, and is the only parameter with a `$`: SDKs cut the topic there. */
export function responseTopic(status: number, rid: string, retryAfter: string | undefined): string {
  const wait = retryAfter === undefined ? '' : `&retry-after=${encodeURIComponent(retryAfter)}`;
  return `$dps/registrations/res/${status}/?$rid=${rid}${wait}`;
}

/** What is not well encoded is no operation of ours. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
