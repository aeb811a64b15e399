import type {
  AccessToken,
  NamedKeyCredential,
  SASCredential,
  TokenCredential,
  TracingContext,
} from '@azure/core-auth';
import type { Clock } from './clock.ts';
import type { Endpoint } from './endpoint.ts';
import { UnauthorizedError } from './errors.ts';
import { defaultTokenTtlInMs, signSasToken } from './sas-token.ts';
import { type FailedCall, subjectOf } from './service-error.ts';

/** What a client can be made with: the interfaces of `@azure/core-auth`'s credential classes. */
export type DeviceProvisioningCredential = TokenCredential | NamedKeyCredential | SASCredential;

/** The scope that Microsoft Entra ID issues tokens for. */
export const dpsTokenScope = 'https://azure-devices-provisioning.net/.default';

/** Fills the Authorization header. */
export interface Authorizer {
  /** The header's value; a promise only while a token has to be fetched. */
  authorize(
    call: FailedCall,
    abortSignal?: AbortSignal,
    tracingContext?: TracingContext,
  ): string | Promise<string>;
  /** The service refused `used`: says whether a new attempt would carry something else. */
  refused(used: string): boolean;
}

/** Picks by shape, as other Azure clients do, so that any implementation of the interfaces will do. */
export function createAuthorizer(
  credential: DeviceProvisioningCredential,
  endpoint: Endpoint,
  clock: Clock,
  tokenScope: string = dpsTokenScope,
): Authorizer {
  if ('getToken' in credential) {
    if (!endpoint.secure) {
      throw new TypeError(
        'Microsoft Entra ID tokens are not sent over plain HTTP. Use the https endpoint (a local emulator has one, too).',
      );
    }
    return new TokenAuthorizer(credential, tokenScope, clock);
  }
  if ('signature' in credential) {
    return new SignatureAuthorizer(credential);
  }
  return new NamedKeyAuthorizer(credential, endpoint.host, clock);
}

/** Signs tokens itself, for an hour each. A key rotated with `update` is used from the next request on. */
class NamedKeyAuthorizer implements Authorizer {
  readonly #credential: NamedKeyCredential;
  readonly #host: string;
  readonly #clock: Clock;
  #name = '';
  #key = '';
  #token = '';
  #signedAt = 0;

  constructor(credential: NamedKeyCredential, host: string, clock: Clock) {
    this.#credential = credential;
    this.#host = host;
    this.#clock = clock;
  }

  authorize(): string {
    const { name, key } = this.#credential;
    const now = this.#clock.now();
    const age = now - this.#signedAt;
    // A negative age: the clock was set back, and the token may be of a future that the service refuses.
    const fresh = age >= 0 && age < defaultTokenTtlInMs * 0.8;
    if (!fresh || name !== this.#name || key !== this.#key) {
      this.#token = signSasToken(this.#host, name, key, now + defaultTokenTtlInMs);
      this.#name = name;
      this.#key = key;
      this.#signedAt = now;
    }
    return this.#token;
  }

  refused(used: string): boolean {
    if (used === this.#token) {
      this.#name = '';
    }
    return true;
  }
}

/** Sends what it was given. Only whoever gave it can renew it. */
class SignatureAuthorizer implements Authorizer {
  readonly #credential: SASCredential;

  constructor(credential: SASCredential) {
    this.#credential = credential;
  }

  authorize(): string {
    const { signature } = this.#credential;
    return signature.startsWith('SharedAccessSignature ') ? signature : `SharedAccessSignature ${signature}`;
  }

  refused(used: string): boolean {
    return this.authorize() !== used;
  }
}

/** When the credential does not say when to renew: this long before expiry. */
const renewAheadInMs = 300_000;
/** After a renewal ahead of expiry failed, the next one is this much later. */
const renewalPauseInMs = 30_000;

/** Caches the token, renews it ahead of expiry in the background, and asks for it once for all callers. */
class TokenAuthorizer implements Authorizer {
  readonly #credential: TokenCredential;
  readonly #scope: string;
  readonly #clock: Clock;
  #header = '';
  #expiresAt = 0;
  #renewAt = 0;
  #fetching: Promise<string> | undefined;

  constructor(credential: TokenCredential, scope: string, clock: Clock) {
    this.#credential = credential;
    this.#scope = scope;
    this.#clock = clock;
  }

  authorize(
    call: FailedCall,
    abortSignal?: AbortSignal,
    tracingContext?: TracingContext,
  ): string | Promise<string> {
    const now = this.#clock.now();
    if (now >= this.#expiresAt) {
      return orAbort(this.#fetch(call, tracingContext), abortSignal);
    }
    if (now >= this.#renewAt && !this.#fetching) {
      this.#renewAt = now + renewalPauseInMs;
      // The present token still works; if this fails, a later call tries again.
      this.#fetch(call, tracingContext).catch(() => undefined);
    }
    return this.#header;
  }

  refused(used: string): boolean {
    if (used === this.#header) {
      this.#expiresAt = 0;
    }
    return true;
  }

  #fetch(call: FailedCall, tracingContext: TracingContext | undefined): Promise<string> {
    this.#fetching ??= this.#getToken(call, tracingContext).finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #getToken(call: FailedCall, tracingContext: TracingContext | undefined): Promise<string> {
    let token: AccessToken | null;
    try {
      token = await this.#credential.getToken(
        this.#scope,
        tracingContext && { tracingOptions: { tracingContext } },
      );
    } catch (cause) {
      throw noToken(call, this.#scope, 'the credential failed to get a token', cause);
    }
    if (!token) {
      throw noToken(call, this.#scope, 'the credential gave no token', undefined);
    }
    this.#header = `Bearer ${token.token}`;
    this.#expiresAt = token.expiresOnTimestamp;
    this.#renewAt = token.refreshAfterTimestamp ?? token.expiresOnTimestamp - renewAheadInMs;
    return this.#header;
  }
}

function noToken(call: FailedCall, scope: string, what: string, cause: unknown): UnauthorizedError {
  return new UnauthorizedError(
    `${subjectOf(call)} was not sent: ${what} for ${scope}. ` +
      'Check that the identity exists here and may sign in; the cause says more.',
    { operation: call.operation, id: call.id, cause },
  );
}

/** A caller that gives up does not take the token from the others. */
function orAbort<T>(promise: Promise<T>, abortSignal: AbortSignal | undefined): Promise<T> {
  if (!abortSignal) {
    return promise;
  }
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortSignal.reason);
    if (abortSignal.aborted) {
      onAbort();
      return;
    }
    abortSignal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => abortSignal.removeEventListener('abort', onAbort));
  });
}
