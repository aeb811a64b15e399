import { randomBytes } from 'node:crypto';

const settingPrefix = 'WEBHOOK_SECRETS_';
const secretPrefix = 'whsec_';
/** As Standard Webhooks has it. */
const leastBytes = 24;
const mostBytes = 64;

export const webhookSecretsRule = `secrets like whsec_…, base64 of ${leastBytes} to ${mostBytes} bytes each, separated by spaces`;

/** The setting that holds a sender's secrets: `brno-mes` has `WEBHOOK_SECRETS_BRNO_MES`. */
export function webhookSecretsSetting(sender: string): string {
  return `${settingPrefix}${sender.toUpperCase().replaceAll('-', '_')}`;
}

export function isWebhookSecretsSetting(name: string): boolean {
  return name.startsWith(settingPrefix);
}

/** The keys of a setting's value; undefined where one of them is no secret. */
export function readWebhookSecrets(value: string): readonly Uint8Array[] | undefined {
  const keys = value.split(/\s+/).map(readWebhookSecret);
  return keys.every((key) => key !== undefined) ? keys : undefined;
}

export function readWebhookSecret(secret: string): Uint8Array | undefined {
  if (!secret.startsWith(secretPrefix)) {
    return undefined;
  }
  const text = secret.slice(secretPrefix.length);
  const key = Buffer.from(text, 'base64');
  if (key.toString('base64') !== text) {
    return undefined;
  }
  return key.length >= leastBytes && key.length <= mostBytes ? key : undefined;
}

export function newWebhookSecret(): string {
  return `${secretPrefix}${randomBytes(32).toString('base64')}`;
}

export type WebhookSecrets = ReadonlyMap<string, readonly Uint8Array[]>;

/** Whose keys are whose. */
export class WebhookKeys {
  readonly #secrets: WebhookSecrets;
  readonly #nobodys: readonly Uint8Array[];

  /** `secrets`: the keys by their settings' names. */
  constructor(secrets: WebhookSecrets) {
    this.#secrets = secrets;
    const most = Math.max(1, ...[...secrets.values()].map(({ length }) => length));
    this.#nobodys = Array.from({ length: most }, () => randomBytes(32));
  }

  /**
   * As many for every sender, known or not: what is lacking to the most that one has are keys that nobody knows. So a
   * request of an unknown sender is refused like a wrong signature, after the same work.
   */
  of(sender: string): readonly Uint8Array[] {
    const own = this.#secrets.get(webhookSecretsSetting(sender)) ?? [];
    return [...own, ...this.#nobodys].slice(0, this.#nobodys.length);
  }
}
