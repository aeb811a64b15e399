import { connectAsync, type MqttClient } from 'mqtt';
import type { DeviceChannel, DeviceCredential, DeviceResponse } from './device-channel.ts';
import { addressFor, type Provisioning } from './provisioning.ts';

/** What the SDKs send. */
const apiVersion = '2019-03-31';
const clientVersion = encodeURIComponent('simulated-device/1.0');
const responses = '$dps/registrations/res/#';
const connectWithinMs = 30_000;
const responseWithinMs = 30_000;

/** A device that speaks MQTT, over TCP or WebSockets. It is subscribed to its responses when it is handed over. */
export async function openMqttChannel(
  protocol: 'mqtt' | 'mqtt-ws',
  registrationId: string,
  credential: DeviceCredential,
  token: string | undefined,
  provisioning: Provisioning,
): Promise<DeviceChannel> {
  const client = await connectAsync(
    addressFor(protocol, provisioning),
    {
      clientId: registrationId,
      username: `${provisioning.idScope}/registrations/${registrationId}/api-version=${apiVersion}&ClientVersion=${clientVersion}`,
      ...(token !== undefined && { password: token }),
      protocolVersion: 4,
      clean: true,
      keepalive: 60,
      reconnectPeriod: 0,
      connectTimeout: connectWithinMs,
      ca: provisioning.ca,
      ...(credential.kind === 'x509' && { cert: credential.chain, key: credential.privateKey }),
    },
    false,
  );
  await client.subscribeAsync(responses, { qos: 1 });
  return new MqttChannel(client);
}

class MqttChannel implements DeviceChannel {
  readonly #client: MqttClient;
  readonly #waiting = new Map<string, PromiseWithResolvers<DeviceResponse>>();
  #lastRid = 0;

  constructor(client: MqttClient) {
    this.#client = client;
    client.on('message', (topic, payload) => this.#take(topic, payload.toString('utf8')));
    client.on('error', (error) => this.#failAll(error));
    client.on('close', () => this.#failAll(new Error('DPS closed the connection.')));
  }

  register(body: object): Promise<DeviceResponse> {
    return this.#ask((rid) => `$dps/registrations/PUT/iotdps-register/?$rid=${rid}`, JSON.stringify(body));
  }

  operationStatus(operationId: string): Promise<DeviceResponse> {
    const topic = '$dps/registrations/GET/iotdps-get-operationstatus/';
    return this.#ask((rid) => `${topic}?$rid=${rid}&operationId=${operationId}`, '');
  }

  async close(): Promise<void> {
    await this.#client.endAsync();
  }

  async #ask(topicFor: (rid: string) => string, payload: string): Promise<DeviceResponse> {
    this.#lastRid += 1;
    const rid = String(this.#lastRid);
    const waiting = Promise.withResolvers<DeviceResponse>();
    this.#waiting.set(rid, waiting);
    const timer = setTimeout(() => {
      this.#failAll(new Error(`DPS did not respond within ${responseWithinMs / 1_000} s.`));
    }, responseWithinMs);
    try {
      // A connection that is cut never acknowledges: then the response's failure counts.
      this.#client.publish(topicFor(rid), payload, { qos: 1 }, (error) => error && this.#failAll(error));
      return await waiting.promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(rid);
    }
  }

  #take(topic: string, payload: string): void {
    const [, status, query] = /^\$dps\/registrations\/res\/(\d+)\/\?(.*)$/.exec(topic) ?? [];
    const parameters = new URLSearchParams(query);
    const retryAfter = parameters.get('retry-after');
    try {
      this.#waiting.get(parameters.get('$rid') ?? '')?.resolve({
        status: Number(status),
        retryAfterInSeconds: retryAfter === null ? undefined : Number(retryAfter),
        body: payload === '' ? {} : JSON.parse(payload),
      });
    } catch {
      this.#failAll(new Error('DPS responded with a body that is not valid JSON.'));
    }
  }

  #failAll(error: Error): void {
    for (const waiting of this.#waiting.values()) {
      waiting.reject(error);
    }
  }
}
