import { meaningOf } from '../dps/error-advice.ts';
import { type DeviceProvisioningError, UnavailableError } from '../dps/errors.ts';
import type { HttpResponse } from '../dps/http-exchange.ts';
import { networkFailureOf } from '../dps/network-failure.ts';
import { redact } from '../dps/redaction.ts';
import { parseRetryAfter } from '../dps/retry-policy.ts';

/** A call of a hub's service API, for messages. */
export interface HubCall {
  /** As `devices.get`. */
  readonly operation: string;
  readonly hub: string;
  readonly deviceId: string;
  readonly body?: string;
}

const longestText = 500;
const longestTrackingId = 128;

const advice: Readonly<Record<number, string>> = {
  400: 'The hub does not take the request; a retry will not help until that is mended.',
  401: 'Give the app\'s identity the role "IoT Hub Registry Contributor" on this hub (hubs answer 401 for a missing role, too), or check the policy in HUB_CONNECTION_STRINGS.',
  403: "The hub's daily messages are used up, or its tier does not offer this; it is tried again.",
  404: 'Either the hub has no such device, or something else has answered in its place.',
  412: 'The device was changed since it was read: it is read again.',
  429: 'The hub takes 100 registry operations a minute and unit (S3: 5,000); set HUB_OPERATIONS_PER_MINUTE to what it has.',
};
const otherAdvice = 'The hub is in trouble; it is tried again.';

/**
 * The error for an answer that is no success: `{"Message":"ErrorCode:Name;text","ExceptionMessage":"Tracking ID:…"}`.
 * The classes are those of the DPS client, since they mean the same to a caller.
 */
export function errorOfHubResponse(
  call: HubCall,
  response: HttpResponse,
  now: number,
): DeviceProvisioningError {
  const said = readError(response.text);
  const { statusCode } = response;
  const trackingId = said.trackingId ?? response.header('x-ms-request-id');
  const safeId = trackingId && redact(trackingId, call.body).slice(0, longestTrackingId);
  const told = redact(said.message ?? `status ${statusCode}`, call.body).slice(0, longestText);
  const tracking = safeId ? ` (tracking id ${safeId})` : '';
  // Anything on the way may answer 404. That a device is not there only its hub can say.
  const isOfDevice = said.message?.startsWith('DeviceNotFound') === true;
  const { errorClass } = meaningOf(statusCode === 404 && !isOfDevice ? 502 : statusCode);
  const message = `Hub ${call.hub} answers ${call.operation} of "${call.deviceId}" with ${statusCode}${tracking}: ${told} ${advice[statusCode] ?? otherAdvice}`;
  return new errorClass(message, {
    operation: call.operation,
    id: call.deviceId,
    statusCode,
    trackingId: safeId || undefined,
    retryAfterInMs: parseRetryAfter(response.header('retry-after'), response.header('date'), now),
  });
}

/** The error for a request that got no answer, or one that no hub gives. */
export function errorOfNoResponse(call: HubCall, cause: unknown): DeviceProvisioningError {
  const { code, explanation } = networkFailureOf(cause);
  return new UnavailableError(
    `Hub ${call.hub} does not answer ${call.operation} of "${call.deviceId}": ${code}. ${explanation}`,
    { operation: call.operation, id: call.deviceId, cause },
  );
}

export function errorOfHubGarbage(call: HubCall, why: string): DeviceProvisioningError {
  return new UnavailableError(
    `Hub ${call.hub} answers ${call.operation} of "${call.deviceId}" with what no hub answers: ${why}. Nothing was changed; it is tried again.`,
    { operation: call.operation, id: call.deviceId },
  );
}

function readError(text: string): { readonly message?: string; readonly trackingId?: string } {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return {};
  }
  const { Message, ExceptionMessage } = (typeof body === 'object' && body !== null ? body : {}) as Record<
    string,
    unknown
  >;
  const [, trackingId] = /Tracking ID:([\w:.-]+)/i.exec(String(ExceptionMessage ?? '')) ?? [];
  return {
    ...(typeof Message === 'string' ? { message: sentence(Message.replace(/^ErrorCode:/, '')) } : {}),
    ...(trackingId === undefined ? {} : { trackingId }),
  };
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
