import { createHmac } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DpsEmulator, type DpsEmulatorOptions, startDpsEmulator } from '../../src/local/dps/emulator.ts';
import type { Identity } from './certificates.ts';

export const apiVersion = '2021-10-01';

export interface Reply {
  status: number;
  headers: Record<string, string | undefined>;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of any shape
  json: any;
}

export interface Send {
  body?: unknown;
  headers?: Record<string, string | undefined>;
  version?: string;
  tls?: boolean;
  /** Client certificate, and what else of its chain the client sends. */
  identity?: Identity | undefined;
  chain?: Identity[];
  agent?: import('node:https').Agent;
}

export interface TestEmulator extends DpsEmulator {
  directory: string;
  /** A call with the token of the owner's policy. */
  call(method: string, path: string, send?: Send): Promise<Reply>;
  /** A call without a token, unless the headers have one. */
  raw(method: string, path: string, send?: Send): Promise<Reply>;
  control(method: string, path: string, body?: unknown): Promise<Reply>;
  policyKey: string;
  host: string;
  stop(): Promise<void>;
}

/** An emulator of its own for a test file: free ports, a directory that goes with it. */
export async function startTestEmulator(options: Partial<DpsEmulatorOptions> = {}): Promise<TestEmulator> {
  const directory = await mkdtemp(join(tmpdir(), 'dps-emulator-'));
  const emulator = await startDpsEmulator({ certificateDirectory: directory, ...options });
  const ca = await readFile(emulator.caCertificate, 'utf8');
  const fields = new Map(
    emulator.connectionString.split(';').map((part) => {
      const equals = part.indexOf('=');
      return [part.slice(0, equals), part.slice(equals + 1)];
    }),
  );
  const host = fields.get('HostName')!;
  const policyKey = fields.get('SharedAccessKey')!;
  const token = signToken({ resource: host, key: policyKey, keyName: fields.get('SharedAccessKeyName')! });

  const raw: TestEmulator['raw'] = (method, path, send = {}) => {
    const isTls = send.tls === true || send.identity !== undefined;
    const version = send.version ?? apiVersion;
    const url = `${isTls ? emulator.tlsEndpoint : emulator.endpoint}${path}`;
    const versioned = version === '' ? url : `${url}${path.includes('?') ? '&' : '?'}api-version=${version}`;
    return exchange(method, versioned, send, isTls ? ca : undefined);
  };
  return {
    ...emulator,
    directory,
    policyKey,
    host,
    raw,
    call: (method, path, send = {}) =>
      raw(method, path, { ...send, headers: { authorization: token, ...send.headers } }),
    control: (method, path, body) => {
      const isText = typeof body === 'string';
      return exchange(
        method,
        `${emulator.endpoint}/_emulator/${path}`,
        body === undefined ? {} : { body: isText ? Buffer.from(body) : body },
      );
    },
    stop: async () => {
      await emulator.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export function signToken(token: {
  resource: string;
  key: string | Buffer;
  keyName?: string;
  /** Seconds since 1970. */
  expiry?: number;
}): string {
  const { resource, keyName } = token;
  const expiry = token.expiry ?? Math.floor(Date.now() / 1000) + 3600;
  const key = typeof token.key === 'string' ? Buffer.from(token.key, 'base64') : token.key;
  const signature = createHmac('sha256', key).update(`${resource}\n${expiry}`).digest('base64');
  const name = keyName === undefined ? '' : `&skn=${keyName}`;
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expiry}${name}`;
}

/** The token of a device, encoded as most SDKs do. */
export function deviceToken(idScope: string, registrationId: string, key: string | Buffer): string {
  return signToken({
    resource: encodeURIComponent(`${idScope}/registrations/${registrationId}`),
    key,
    keyName: 'registration',
  });
}

export function derivedKey(groupKey: string, registrationId: string): Buffer {
  return createHmac('sha256', Buffer.from(groupKey, 'base64')).update(registrationId).digest();
}

/** Registers a device as SDKs do: until the answer is final. */
export async function register(
  emulator: TestEmulator,
  registrationId: string,
  how: Send & { key?: string | Buffer },
): Promise<Reply> {
  const authorization =
    how.key === undefined ? undefined : deviceToken(emulator.idScope, registrationId, how.key);
  const send = { ...how, headers: { ...(authorization && { authorization }), ...how.headers } };
  const body = { registrationId, ...(how.body as object | undefined) };
  const base = `/${emulator.idScope}/registrations/${registrationId}`;
  const first = await emulator.raw('PUT', `${base}/register`, { ...send, body });
  if (first.status !== 202) {
    return first;
  }
  for (;;) {
    const { body: _, ...poll } = send;
    const reply = await emulator.raw('GET', `${base}/operations/${first.json.operationId}`, poll);
    if (reply.status !== 202) {
      return reply;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A timestamp of the service in a form that can be compared as text: its trailing zeros are trimmed. */
export function comparable(timestamp: string): string {
  const [seconds = '', fraction = ''] = timestamp.replace('Z', '').split('.');
  return `${seconds}.${fraction.padEnd(7, '0')}`;
}

export function symmetric(
  registrationId: string,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return { registrationId, attestation: { type: 'symmetricKey' }, ...more };
}

export function symmetricGroup(
  enrollmentGroupId: string,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return { enrollmentGroupId, attestation: { type: 'symmetricKey' }, ...more };
}

function exchange(method: string, url: string, send: Send, ca?: string): Promise<Reply> {
  const body = Buffer.isBuffer(send.body)
    ? send.body
    : send.body === undefined
      ? undefined
      : Buffer.from(JSON.stringify(send.body));
  const headers: Record<string, string> = {};
  if (body !== undefined) {
    Object.assign(headers, { 'content-type': 'application/json', 'content-length': String(body.length) });
  }
  for (const [name, value] of Object.entries(send.headers ?? {})) {
    if (value === undefined) {
      delete headers[name];
    } else {
      headers[name] = value;
    }
  }
  const tls = send.identity && {
    cert: [send.identity, ...(send.chain ?? [])].map(({ pem }) => pem).join('\n'),
    key: send.identity.keyPem,
  };
  return new Promise((resolve, reject) => {
    const options = { method, headers, ...(ca && { ca }), ...tls, ...(send.agent && { agent: send.agent }) };
    const request = (url.startsWith('https') ? httpsRequest : httpRequest)(url, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        let json: unknown;
        try {
          json = JSON.parse(text);
        } catch {
          json = undefined;
        }
        resolve({ status: response.statusCode!, headers: response.headers as Reply['headers'], text, json });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}
