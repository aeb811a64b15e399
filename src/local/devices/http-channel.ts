import https from 'node:https';
import type { DeviceChannel, DeviceCredential, DeviceResponse } from './device-channel.ts';
import type { Provisioning } from './provisioning.ts';

const apiVersion = '2021-10-01';

/** A device that speaks HTTPS, with a connection of its own. */
export function openHttpChannel(
  registrationId: string,
  credential: DeviceCredential,
  provisioning: Provisioning,
): DeviceChannel {
  const agent = new https.Agent({
    keepAlive: true,
    ca: provisioning.ca,
    ...(credential.kind === 'x509' && { cert: credential.chain, key: credential.privateKey }),
  });
  const base = `${provisioning.endpoint}/${provisioning.idScope}/registrations/${encodeURIComponent(registrationId)}`;
  const call = (method: string, path: string, token?: string, body?: object) => {
    const headers = token === undefined ? {} : { authorization: token };
    return request(agent, method, `${base}/${path}?api-version=${apiVersion}`, headers, body);
  };
  return {
    register: (body, token) => call('PUT', 'register', token, body),
    operationStatus: (id, token) => call('GET', `operations/${encodeURIComponent(id)}`, token),
    close: async () => agent.destroy(),
  };
}

function request(
  agent: https.Agent,
  method: string,
  url: string,
  headers: object,
  body?: object,
): Promise<DeviceResponse> {
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
        const retryAfter = response.headers['retry-after'];
        resolve({
          status: response.statusCode ?? 0,
          retryAfterInSeconds: retryAfter === undefined ? undefined : Number(retryAfter),
          body: answer === '' ? {} : JSON.parse(answer),
        });
      });
    });
    sent.on('error', reject);
    sent.end(text);
  });
}
