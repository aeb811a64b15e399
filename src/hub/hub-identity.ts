/** What the hub says about a device: the members that matter here, and all of it, to be sent back whole. */
export interface HubIdentity {
  readonly deviceId: string;
  readonly etag: string;
  readonly status: 'enabled' | 'disabled';
  readonly statusReason: string | undefined;
  /** As it came, keys and thumbprints included: never logged, stored or shown. */
  readonly whole: Readonly<Record<string, unknown>>;
}

export interface HubStatus {
  readonly status: 'enabled' | 'disabled';
  /** 128 characters at most; undefined takes the reason away. */
  readonly statusReason: string | undefined;
}

/** Undefined if that is no identity of a hub. */
export function readIdentity(value: unknown): HubIdentity | undefined {
  if (!isObject(value)) {
    return undefined;
  }
  const { deviceId, etag, status, statusReason } = value;
  const isKnown = status === 'enabled' || status === 'disabled';
  if (typeof deviceId !== 'string' || typeof etag !== 'string' || !isKnown) {
    return undefined;
  }
  const reason = typeof statusReason === 'string' && statusReason !== '' ? statusReason : undefined;
  return { deviceId, etag, status, statusReason: reason, whole: value };
}

/**
 * The body of a PUT. It replaces the whole identity, so all that was read goes back.
 *
 * @throws TypeError where the answer did not show the keys: the hub would make new ones, and lock the device out.
 */
export function withStatus({ whole }: HubIdentity, { status, statusReason }: HubStatus): string {
  const authentication = isObject(whole.authentication) ? whole.authentication : {};
  const keys = isObject(authentication.symmetricKey) ? authentication.symmetricKey : {};
  const hasKeys = isText(keys.primaryKey) && isText(keys.secondaryKey);
  const type = authentication.type;
  if (typeof type !== 'string' || (type === 'sas' && !hasKeys)) {
    throw new TypeError('the hub did not show how the device signs in, and would replace that');
  }
  return JSON.stringify({ ...whole, status, statusReason: statusReason ?? null });
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
