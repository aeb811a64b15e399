import type { IncomingMessage, ServerResponse } from 'node:http';
import * as z from 'zod';
import { readCertificateText } from '../../dps/certificate-reader.ts';
import { faultsBody, hubsBody, policiesBody, quotaBody, seedBody } from './control-input.ts';
import { ServiceError } from './errors.ts';
import { isFromForeignPage, isLoopbackAddress } from './foreign-pages.ts';
import { maxCaCertificates, maxControlBodyBytes } from './limits.ts';
import { peoplePage } from './people-page.ts';
import { readBody } from './request-body.ts';
import { seed } from './seed.ts';
import type { Service } from './service.ts';
import type { Configuration } from './state.ts';

export const controlPrefix = '/_emulator';

const pageHeaders = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy':
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
};

interface ControlResponse {
  readonly status: number;
  readonly json?: unknown;
  readonly page?: string;
}

const done: ControlResponse = { status: 204 };

type ControlCall = (
  service: Service,
  body: Buffer,
  name: string,
) => ControlResponse | Promise<ControlResponse>;

const calls: Readonly<Record<string, ControlCall>> = {
  'GET ': (service) => ({ status: 200, page: peoplePage(service) }),
  'GET stats': stats,
  'POST reset': reset,
  'PUT faults': (service, body) => {
    service.faults.set(read(faultsBody, body));
    return done;
  },
  'PUT quota': putQuota,
  'PUT hubs': (service, body) => configure(service, { hubs: read(hubsBody, body) }),
  'PUT policies': (service, body) => configure(service, { policies: read(policiesBody, body) }),
  'PUT certificates': putCertificate,
  'POST seed': async (service, body) => {
    await seed(read(seedBody, body), { ...service, isPreview: false });
    return stats(service);
  },
};

/** Answers a call of the control plane: from this machine only, and not from pages of other sites. Never rejects. */
export async function handleControl(
  service: Service,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    if (!isLoopbackAddress(request.socket.remoteAddress) || isFromForeignPage(request)) {
      throw new ControlError(403, 'The control plane answers to this machine only.');
    }
    const path = (request.url ?? '')
      .replace(/\?.*$/s, '')
      .slice(controlPrefix.length + 1)
      .replace(/\/+$/, '');
    const [resource = '', name = '', ...rest] = path.split('/');
    const call = calls[`${request.method} ${resource}`];
    const isNamed = resource === 'certificates';
    if (call === undefined || rest.length > 0 || isNamed !== (name !== '')) {
      throw new ControlError(404, 'There is no such call; see the README beside the code.');
    }
    const body = await readBody(request, maxControlBodyBytes);
    if (body === undefined) {
      throw new ControlError(413, 'The body is too large.');
    }
    respond(response, await call(service, body, name));
  } catch (error) {
    respond(response, refusal(error));
  }
}

class ControlError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function stats({ log, state }: Service): ControlResponse {
  return {
    status: 200,
    json: {
      requests: log.counts,
      enrollments: state.individual.size,
      enrollmentGroups: state.group.size,
      registrations: state.registrations.size,
    },
  };
}

function reset({ state, faults, quota, log, registrations, challenges }: Service): ControlResponse {
  state.commit({ reset: true });
  faults.set([]);
  quota.reset();
  log.reset();
  registrations.forgetAll();
  challenges.forgetAll();
  return done;
}

function putQuota({ quota }: Service, body: Buffer): ControlResponse {
  const settings = read(quotaBody, body);
  quota.set({
    operationsPerMinute: settings.operationsPerMinute ?? undefined,
    registrationsPerMinute: settings.registrationsPerMinute ?? undefined,
    hubOperationsPerMinute: settings.hubOperationsPerMinute ?? undefined,
  });
  return done;
}

function putCertificate(service: Service, body: Buffer, name: string): ControlResponse {
  const { certificates } = service.state.configuration;
  if (!/^[A-Za-z0-9._-]{1,128}$/.test(name)) {
    throw new ControlError(400, 'The name of the certificate is not valid.');
  }
  const certificate = readCertificateText(body.toString('latin1'));
  if (typeof certificate === 'string' || certificate.authority === 'no') {
    throw new ControlError(400, 'The body must be the PEM of a certificate authority.');
  }
  if (!Object.hasOwn(certificates, name) && Object.keys(certificates).length >= maxCaCertificates) {
    throw new ControlError(400, `There is room for ${maxCaCertificates} certificates.`);
  }
  return configure(service, {
    certificates: { ...certificates, [name]: Buffer.from(certificate.der).toString('base64') },
  });
}

function configure({ state }: Service, changed: Partial<Configuration>): ControlResponse {
  state.commit({ configure: { ...state.configuration, ...changed } });
  return done;
}

function read<Schema extends z.ZodType>(schema: Schema, body: Buffer): z.infer<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    throw new ControlError(400, 'The body is not valid JSON.');
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    throw new ControlError(400, z.prettifyError(parsed.error));
  }
  return parsed.data;
}

function refusal(error: unknown): ControlResponse {
  const status = error instanceof ControlError || error instanceof ServiceError ? error.status : 500;
  if (status === 500) {
    console.error('The control plane of the DPS emulator failed:', error);
  }
  return {
    status,
    json: { message: error instanceof Error ? error.message : 'Internal error of the emulator.' },
  };
}

function respond(response: ServerResponse, { status, json, page }: ControlResponse): void {
  if (page !== undefined) {
    response.writeHead(status, pageHeaders).end(page);
  } else if (json === undefined) {
    response.writeHead(status).end();
  } else {
    response
      .writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' })
      .end(JSON.stringify(json));
  }
}
