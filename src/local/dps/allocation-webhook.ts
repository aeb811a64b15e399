import { type AllocationFailure, failure } from './allocation.ts';
import { isObject, type JsonObject } from './json-input.ts';
import { maxWebhookAnswerBytes, webhookTimeoutMs } from './limits.ts';

export interface WebhookDecision {
  readonly hub: string;
  /** JSON text for `registrationState.payload`. */
  readonly payload: string | undefined;
  /** It overrides what the migration settings say about the device's data. */
  readonly bringsTwin: boolean;
}

/**
 * Asks a custom allocation webhook for the hub of a device.
 * @param body the documented request: enrollment, deviceRuntimeContext, linkedHubs.
 * @returns its decision, or why the registration fails. Never rejects.
 */
export async function askWebhook(
  webhookUrl: string,
  body: JsonObject,
  linkedHubs: readonly string[],
): Promise<WebhookDecision | AllocationFailure> {
  try {
    const response = await fetch(webhookUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: JSON.stringify(body),
      redirect: 'manual',
      signal: AbortSignal.timeout(webhookTimeoutMs),
    });
    const text = await readText(response);
    if (!response.ok) {
      return failure('customAllocation', ` with status code: ${response.status}`);
    }
    return readDecision(text, linkedHubs);
  } catch {
    // The reason may hold the URL, and that a function key: it is not passed on.
    return failure('customAllocation', ': the webhook did not answer');
  }
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > maxWebhookAnswerBytes) {
      throw new Error('The answer is too large.');
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function readDecision(text: string, linkedHubs: readonly string[]): WebhookDecision | AllocationFailure {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return failure('customAllocation', ': the answer is no JSON');
  }
  const name =
    isObject(answer) && typeof answer.iotHubHostName === 'string'
      ? answer.iotHubHostName.toLowerCase()
      : undefined;
  const hub = linkedHubs.find((linked) => linked.toLowerCase() === name);
  if (!isObject(answer) || hub === undefined) {
    return failure('customAllocation', ': the answer names no linked IoT hub');
  }
  return {
    hub,
    payload: isObject(answer.payload) ? JSON.stringify(answer.payload) : undefined,
    bringsTwin: isObject(answer.initialTwin),
  };
}
