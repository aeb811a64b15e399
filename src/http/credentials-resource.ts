import {
  CredentialsRefusedError,
  type DeviceCredentials,
  type DeviceCredentialsReader,
  type RefusalReason,
  type Requester,
} from '../enrollment/pipeline/device-credentials.ts';
import { type HttpResponse, json, problem } from './http-response.ts';
import type { Request } from './request.ts';

const noStore = { 'cache-control': 'no-store', pragma: 'no-cache' } as const;

/** Callers of the API have a key, and no name. */
const apiSource = '/keys/device-credentials';

const statuses: Readonly<Record<RefusalReason, number>> = {
  unknown: 404,
  'kept-out': 409,
  'not-applied': 409,
  'not-in-dps': 409,
  limit: 429,
};

export interface IssuerSettings {
  readonly areServed: boolean;
  /** Undefined where no setting says it. */
  readonly idScope: string | undefined;
  /** The host that devices connect to. */
  readonly globalEndpoint: string;
}

/** What a device needs to register: what it proves itself with, and where it connects. */
export interface IssuedCredentials extends DeviceCredentials {
  readonly idScope: string;
  readonly globalEndpoint: string;
}

/** Whether keys are handed out at all, and where devices connect. */
export class CredentialsIssuer {
  readonly #reader: () => DeviceCredentialsReader;
  readonly #settings: IssuerSettings;

  constructor(reader: () => DeviceCredentialsReader, settings: IssuerSettings) {
    this.#reader = reader;
    this.#settings = settings;
  }

  get areServed(): boolean {
    return this.#settings.areServed;
  }

  get idScope(): string | undefined {
    return this.#settings.idScope;
  }

  /** @throws as `DeviceCredentialsReader.read` */
  async issue(id: string, requester: Requester): Promise<IssuedCredentials> {
    const { registrationId, deviceId, ...proof } = await this.#reader().read(id, requester);
    const { idScope = '', globalEndpoint } = this.#settings;
    return { registrationId, deviceId, idScope, globalEndpoint, ...proof };
  }
}

/** `POST /api/devices/{registrationId}/credentials` */
export class CredentialsResource {
  readonly #issuer: CredentialsIssuer;

  constructor(issuer: CredentialsIssuer) {
    this.#issuer = issuer;
  }

  async issue({ params, headers }: Request): Promise<HttpResponse> {
    if (!this.#issuer.areServed) {
      return problem({
        status: 403,
        detail: 'Credentials are not handed out here. Set CREDENTIALS to on, if the line is to fetch them.',
        headers: noStore,
      });
    }
    const id = (params.registrationId ?? '').replace(/%2f/gi, '/');
    const requester: Requester = { source: apiSource, through: 'api', address: addressOf(headers) };
    try {
      return json(200, await this.#issuer.issue(id, requester), noStore);
    } catch (error) {
      if (!(error instanceof CredentialsRefusedError)) {
        throw error;
      }
      return refused(error);
    }
  }
}

function refused({ reason, message: detail, retryAfterInSeconds }: CredentialsRefusedError): HttpResponse {
  return problem({
    status: statuses[reason],
    ...(reason === 'unknown' || reason === 'limit' ? {} : { type: `credentials-${reason}` }),
    detail,
    headers: noStore,
    ...(retryAfterInSeconds === undefined ? {} : { retryAfterInSeconds }),
  });
}

/** As the platform's front end has seen it: the last one, since what comes before is the caller's own word. */
export function addressOf(headers: Request['headers']): string | undefined {
  const last = headers.get('x-forwarded-for')?.split(',').at(-1)?.trim();
  return last !== undefined && /^[0-9a-fA-F.:[\]]{3,60}$/.test(last) ? last : undefined;
}
