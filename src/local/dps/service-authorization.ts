import { ServiceError } from './errors.ts';
import { isExpired, isSignedWith, parseSas } from './sas.ts';
import type { EmulatorState, Policy, Right } from './state.ts';

const tokenAudience = 'https://azure-devices-provisioning.net';
const maxRememberedTokens = 1_000;

/** Built-in roles by name and by id, and what their data actions allow. A reader cannot read keys. */
const readerGrants: readonly Grant[] = ['EnrollmentRead', 'RegistrationStatusRead'];
const grantsOfRoles = new Map<string, readonly Grant[] | 'all'>([
  ['device provisioning service data contributor', 'all'],
  ['dfce44e4-17b7-4bd1-a6d1-04996ec95633', 'all'],
  ['device provisioning service data reader', readerGrants],
  ['10745317-c249-44a1-a5ce-3a4353c0bbd8', readerGrants],
]);

type Grant = Right;

export interface ServiceCredentials {
  readonly authorization: string | undefined;
  /** Path of the request, for tokens that are for a part of the service. */
  readonly path: string;
  readonly isTls: boolean;
}

/** Decides who may call the service API: SAS tokens of policies, and bearer tokens over TLS. */
export class ServiceAuthorization {
  readonly #state: EmulatorState;
  readonly #now: () => number;
  readonly #hosts: () => readonly string[];
  /** Tokens whose signature was checked, by header; clients use one for an hour. */
  readonly #verified = new Map<string, { policy: Policy; resource: string; expiresAt: number }>();

  /** @param hosts the resources a token may be for: host names with and without ports, in lower case. */
  constructor(state: EmulatorState, now: () => number, hosts: () => readonly string[]) {
    this.#state = state;
    this.#now = now;
    this.#hosts = hosts;
  }

  /** @throws ServiceError `unauthorized` or `forbidden` */
  require(right: Right, { authorization, path, isTls }: ServiceCredentials): void {
    if (authorization?.startsWith('Bearer ')) {
      if (!isTls) {
        throw new ServiceError('unauthorized', 'Bearer tokens are taken over HTTPS only.');
      }
      requireRole(authorization.slice('Bearer '.length).trim(), right, this.#now());
      return;
    }
    if (!this.#policyOf(authorization, path).rights.includes(right)) {
      throw new ServiceError('forbidden');
    }
  }

  #policyOf(authorization: string | undefined, path: string): Policy {
    const entry = this.#remembered(authorization) ?? this.#verify(authorization);
    if (!this.#covers(entry.resource, path)) {
      throw new ServiceError('unauthorized');
    }
    return entry.policy;
  }

  /** Policies that were replaced since are other objects: their tokens are checked again. */
  #remembered(authorization = '') {
    const entry = this.#verified.get(authorization);
    const isCurrent =
      entry && entry.expiresAt > this.#now() && this.#state.configuration.policies.includes(entry.policy);
    return isCurrent ? entry : undefined;
  }

  #verify(authorization: string | undefined): { policy: Policy; resource: string; expiresAt: number } {
    const token = parseSas(authorization);
    const policy = this.#state.configuration.policies.find(({ keyName }) => keyName === token?.keyName);
    if (
      authorization === undefined ||
      token === undefined ||
      policy === undefined ||
      isExpired(token, this.#now())
    ) {
      throw new ServiceError('unauthorized');
    }
    const keys = [policy.primaryKey, policy.secondaryKey];
    if (!keys.some((key) => isSignedWith(token, Buffer.from(key, 'base64')))) {
      throw new ServiceError('unauthorized');
    }
    const entry = { policy, resource: token.resource, expiresAt: Number(token.expiry) * 1000 };
    if (this.#verified.size >= maxRememberedTokens) {
      this.#verified.clear();
    }
    this.#verified.set(authorization, entry);
    return entry;
  }

  /** A token for `host/a/b` covers `host/a/b/c`, not `host/a/bc`. */
  #covers(resource: string, path: string): boolean {
    const slash = resource.indexOf('/');
    if (slash < 0) {
      return this.#hosts().includes(resource);
    }
    return (
      this.#hosts().includes(resource.slice(0, slash)) &&
      `${path.toLowerCase()}/`.startsWith(`${resource.slice(slash)}/`)
    );
  }
}

/** Claims are read, the signature is not checked: any issuer will do here. */
function requireRole(jwt: string, right: Right, nowMs: number): void {
  const claims = readClaims(jwt);
  const audiences = [claims?.aud].flat().map((audience) => String(audience).replace(/\/$/, ''));
  const seconds = nowMs / 1000;
  const isTimely =
    typeof claims?.exp === 'number' && claims.exp > seconds && !(Number(claims.nbf ?? 0) > seconds);
  if (claims === undefined || !audiences.includes(tokenAudience) || !isTimely) {
    throw new ServiceError('unauthorized');
  }
  if (claims.roles === undefined) {
    return;
  }
  const granted = [claims.roles]
    .flat()
    .flatMap((role) => grantsOfRoles.get(String(role).toLowerCase()) ?? []);
  if (!granted.some((grant) => grant === 'all' || grant === right)) {
    throw new ServiceError('forbidden');
  }
}

export function readClaims(jwt: string): Record<string, unknown> | undefined {
  const parts = jwt.split('.');
  if (parts.length !== 3 || !parts.every((part) => /^[A-Za-z0-9_-]+$/.test(part))) {
    return undefined;
  }
  try {
    const [header, claims] = parts
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString('utf8')));
    return typeof header?.alg === 'string' && typeof claims === 'object' && claims !== null
      ? claims
      : undefined;
  } catch {
    return undefined;
  }
}
