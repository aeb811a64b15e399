import { createHmac } from 'node:crypto';
import https from 'node:https';

/** Where devices register, and how they know it. */
export interface Provisioning {
  readonly endpoint: string;
  readonly idScope: string;
  /** PEM of the authority to trust. */
  readonly ca: string;
}

export type DeviceCredential =
  | { readonly kind: 'symmetricKey'; readonly key: string }
  /** PEM; the chain, leaf first. */
  | { readonly kind: 'x509'; readonly chain: string; readonly privateKey: string };

export interface RegistrationResult {
  readonly registrationId: string;
  /** `assigned`, `disabled`, `failed`, or `unauthorized` where DPS did not let the device in at all. */
  readonly status: string;
  readonly assignedHub?: string;
}

const apiVersion = '2021-10-01';
const polls = 20;
const pollEveryInMs = 100;

/** A device that is switched on: it registers over HTTPS and asks until DPS has decided. */
export async function registerDevice(
  registrationId: string,
  credential: DeviceCredential,
  provisioning: Provisioning,
): Promise<RegistrationResult> {
  const agent = new https.Agent({
    keepAlive: true,
    ca: provisioning.ca,
    ...(credential.kind === 'x509' ? { cert: credential.chain, key: credential.privateKey } : {}),
  });
  const resource = `${provisioning.idScope}/registrations/${registrationId}`;
  const headers =
    credential.kind === 'symmetricKey' ? { authorization: deviceToken(resource, credential.key) } : {};
  const call = (method: string, path: string, body?: object) =>
    request(
      agent,
      method,
      `${provisioning.endpoint}/${resource}/${path}?api-version=${apiVersion}`,
      headers,
      body,
    );
  try {
    const begun = await call('PUT', 'register', { registrationId });
    if (begun.status === 401) return { registrationId, status: 'unauthorized' };
    let answer = begun;
    for (let poll = 0; poll < polls && answer.status === 202; poll++) {
      if (poll > 0) await new Promise((resolve) => setTimeout(resolve, pollEveryInMs));
      answer = await call('GET', `operations/${begun.body.operationId}`);
    }
    const { status = 'unknown', registrationState } = answer.body;
    const assignedHub = registrationState?.assignedHub;
    return { registrationId, status, ...(assignedHub === undefined ? {} : { assignedHub }) };
  } finally {
    agent.destroy();
  }
}

interface Answer {
  readonly status: number;
  readonly body: {
    readonly operationId?: string;
    readonly status?: string;
    readonly registrationState?: { readonly assignedHub?: string };
  };
}

function request(
  agent: https.Agent,
  method: string,
  url: string,
  headers: object,
  body?: object,
): Promise<Answer> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const content =
    text === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const sent = https.request(url, { method, agent, headers: { ...headers, ...content } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const answer = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, body: answer === '' ? {} : JSON.parse(answer) });
      });
    });
    sent.on('error', reject);
    sent.end(text);
  });
}

function deviceToken(resource: string, key: string): string {
  const audience = encodeURIComponent(resource);
  const expiry = Math.floor(Date.now() / 1_000) + 3_600;
  const signature = createHmac('sha256', Buffer.from(key, 'base64'))
    .update(`${audience}\n${expiry}`)
    .digest('base64');
  return `SharedAccessSignature sr=${audience}&sig=${encodeURIComponent(signature)}&se=${expiry}&skn=registration`;
}
