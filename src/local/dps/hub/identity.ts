import { randomBytes } from 'node:crypto';
import { isObject, type JsonObject } from '../json-input.ts';
import { HubError } from './errors.ts';

/** The identity of a device in a hub, with its twin, as it is kept. */
export interface StoredIdentity {
  /** Hub and device id; the latter with its case, which counts in hubs. */
  readonly key: string;
  readonly hub: string;
  readonly deviceId: string;
  /** Tells apart a device that was deleted and made anew under the same id. */
  readonly generationId: string;
  /** Counts the writes; its etag is made of it. */
  readonly version: number;
  readonly status: IdentityStatus;
  readonly statusReason: string | null;
  readonly statusUpdatedTime: string;
  readonly authentication: Authentication;
  readonly iotEdge: boolean;
  readonly twin: StoredTwin;
}

export type IdentityStatus = 'enabled' | 'disabled';

export interface Authentication {
  readonly type: 'sas' | 'selfSigned' | 'certificateAuthority' | 'none';
  readonly symmetricKey: { readonly primaryKey: string | null; readonly secondaryKey: string | null };
  readonly x509Thumbprint: {
    readonly primaryThumbprint: string | null;
    readonly secondaryThumbprint: string | null;
  };
}

export interface StoredTwin {
  readonly version: number;
  readonly tags: JsonObject;
  readonly desired: JsonObject;
}

/** What a caller may write; all else of an identity is the hub's. */
export type WritableIdentity = Pick<StoredIdentity, 'status' | 'statusReason' | 'authentication' | 'iotEdge'>;

export const never = '0001-01-01T00:00:00';
const deviceIdPattern = /^[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}$/;
const thumbprintPattern = /^(?:[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})$/;
const keyBytes = 32;
const maxReason = 128;

export function identityKey(hub: string, deviceId: string): string {
  return `${hub.toLowerCase()}\n${deviceId}`;
}

export function isDeviceId(text: string): boolean {
  return deviceIdPattern.test(text);
}

/** Base64 of a decimal number, as the service was seen to make them. */
export function etagOf({ generationId, version }: StoredIdentity): string {
  return Buffer.from(String((BigInt(generationId) + BigInt(version)) % 10_000_000_000n)).toString('base64');
}

export function noCredentials(): Authentication {
  return {
    type: 'none',
    symmetricKey: { primaryKey: null, secondaryKey: null },
    x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null },
  };
}

export function sasCredentials(primaryKey = generatedKey(), secondaryKey = generatedKey()): Authentication {
  return { ...noCredentials(), type: 'sas', symmetricKey: { primaryKey, secondaryKey } };
}

export function selfSignedCredentials(primaryThumbprint: string): Authentication {
  const x509Thumbprint = { primaryThumbprint, secondaryThumbprint: null };
  return { ...noCredentials(), type: 'selfSigned', x509Thumbprint };
}

/**
 * Reads what a caller writes. The update is a full replace: what is not sent is reset, and empty keys are generated anew.
 * @throws HubError ArgumentInvalid
 */
export function readIdentity(body: JsonObject): WritableIdentity {
  const status = body.status ?? 'enabled';
  if (status !== 'enabled' && status !== 'disabled') {
    throw new HubError('ArgumentInvalid', 'status must be enabled or disabled.');
  }
  const statusReason = textOf(body.statusReason, 'statusReason') ?? null;
  if (statusReason !== null && statusReason.length > maxReason) {
    throw new HubError('ArgumentInvalid', `statusReason has more than ${maxReason} characters.`);
  }
  const capabilities = isObject(body.capabilities) ? body.capabilities : {};
  return {
    status,
    statusReason,
    authentication: readAuthentication(body.authentication),
    iotEdge: capabilities.iotEdge === true,
  };
}

function readAuthentication(value: unknown): Authentication {
  const input = isObject(value) ? value : {};
  const type = input.type ?? 'sas';
  switch (type) {
    case 'sas':
      return readSas(isObject(input.symmetricKey) ? input.symmetricKey : {});
    case 'selfSigned':
      return readSelfSigned(isObject(input.x509Thumbprint) ? input.x509Thumbprint : {});
    case 'certificateAuthority':
      return { ...noCredentials(), type: 'certificateAuthority' };
    case 'none':
      return noCredentials();
    default:
      throw new HubError('ArgumentInvalid', 'authentication.type is not known.');
  }
}

function readSas(input: JsonObject): Authentication {
  const primary = textOf(input.primaryKey, 'primaryKey') || undefined;
  const secondary = textOf(input.secondaryKey, 'secondaryKey') || undefined;
  if ((primary === undefined) !== (secondary === undefined)) {
    throw new HubError('ArgumentInvalid', 'Give both keys, or none.');
  }
  return sasCredentials(primary, secondary);
}

function readSelfSigned(input: JsonObject): Authentication {
  const thumbprint = (name: string): string | null => {
    const text = textOf(input[name], name) || null;
    if (text !== null && !thumbprintPattern.test(text)) {
      throw new HubError('ArgumentInvalid', `${name} must be 40 or 64 hex digits.`);
    }
    return text;
  };
  const primaryThumbprint = thumbprint('primaryThumbprint');
  const secondaryThumbprint = thumbprint('secondaryThumbprint');
  if (primaryThumbprint === null && secondaryThumbprint === null) {
    throw new HubError('ArgumentInvalid', 'selfSigned wants a thumbprint.');
  }
  const x509Thumbprint = { primaryThumbprint, secondaryThumbprint };
  return { ...noCredentials(), type: 'selfSigned', x509Thumbprint };
}

function textOf(value: unknown, name: string): string | undefined {
  if (value === undefined || value === null) {
    return undefined;
  }
  if (typeof value !== 'string') {
    throw new HubError('ArgumentInvalid', `${name} must be a string.`);
  }
  return value;
}

function generatedKey(): string {
  return randomBytes(keyBytes).toString('base64');
}

/** As GET answers it. */
export function identityView(identity: StoredIdentity): JsonObject {
  return {
    deviceId: identity.deviceId,
    generationId: identity.generationId,
    etag: etagOf(identity),
    connectionState: 'Disconnected',
    status: identity.status,
    statusReason: identity.statusReason,
    connectionStateUpdatedTime: never,
    statusUpdatedTime: identity.statusUpdatedTime,
    lastActivityTime: never,
    cloudToDeviceMessageCount: 0,
    authentication: identity.authentication,
    capabilities: { iotEdge: identity.iotEdge },
    deviceScope: scopeOf(identity),
    parentScopes: [],
  };
}

/** Without keys. `statusUpdateTime`, where the identity says `statusUpdatedTime`: so it is. */
export function twinView(identity: StoredIdentity): JsonObject {
  const { twin, authentication } = identity;
  return {
    deviceId: identity.deviceId,
    etag: Buffer.from(BigUint64Array.of(BigInt(twin.version)).buffer)
      .reverse()
      .toString('base64'),
    deviceEtag: etagOf(identity),
    status: identity.status,
    statusReason: identity.statusReason,
    statusUpdateTime: identity.statusUpdatedTime,
    connectionState: 'Disconnected',
    lastActivityTime: never,
    cloudToDeviceMessageCount: 0,
    authenticationType: authentication.type,
    x509Thumbprint: authentication.x509Thumbprint,
    version: twin.version,
    tags: twin.tags,
    properties: {
      desired: { ...twin.desired, $metadata: { $lastUpdated: never }, $version: twin.version },
      reported: { $metadata: { $lastUpdated: never }, $version: 1 },
    },
    capabilities: { iotEdge: identity.iotEdge },
    deviceScope: scopeOf(identity),
    parentScopes: [],
  };
}

function scopeOf({ iotEdge, deviceId, generationId }: StoredIdentity): string | null {
  return iotEdge ? `ms-azure-iot-edge://${deviceId}-${generationId}` : null;
}
