import { readFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { generate, type IConnackPacket, type IPublishPacket, type Packet, parser } from 'mqtt-packet';
import { createWebSocketStream, WebSocket } from 'ws';
import type { Identity } from './certificates.ts';
import { deviceToken, type TestEmulator } from './harness.ts';

export const responses = '$dps/registrations/res/#';
const apiVersion = '2019-03-31';

export interface ConnectionOptions {
  transport?: 'mqtt' | 'mqtt-ws';
  identity?: Identity;
  /** What else of its chain the client sends. */
  chain?: Identity[];
  path?: string;
  protocols?: string[];
}

export interface Response {
  status: number;
  retryAfter: string | undefined;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of any shape
  json: any;
  packet: IPublishPacket;
}

/** A connection that sends what it is told, be it MQTT or not, and hands over the packets that come. */
export class MqttConnection {
  readonly stream: Duplex;
  readonly closed: Promise<void>;
  readonly #received: Packet[] = [];
  #waiting: ((packet: Packet | undefined) => void)[] = [];
  #isClosed = false;
  #lastId = 0;

  constructor(stream: Duplex) {
    this.stream = stream;
    const reader = parser();
    reader.on('packet', (packet) => {
      const waiting = this.#waiting.shift();
      if (waiting) {
        waiting(packet);
      } else {
        this.#received.push(packet);
      }
    });
    stream.on('data', (chunk) => reader.parse(chunk));
    stream.on('error', () => {});
    stream.on('end', () => stream.destroy());
    this.closed = new Promise((resolve) => {
      stream.on('close', () => {
        this.#isClosed = true;
        for (const waiting of this.#waiting.splice(0)) {
          waiting(undefined);
        }
        resolve();
      });
    });
  }

  send(packet: Packet | Buffer): void {
    if (this.#isClosed || !this.stream.writable) {
      return;
    }
    this.stream.write(Buffer.isBuffer(packet) ? packet : generate(packet));
  }

  /** @returns undefined once the connection is closed and all is read. */
  next(): Promise<Packet | undefined> {
    const packet = this.#received.shift();
    if (packet !== undefined || this.#isClosed) {
      return Promise.resolve(packet);
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** CONNECT as SDKs send it. @returns the return code of CONNACK, undefined if the server closed without one. */
  async connect(
    registrationId: string,
    idScope: string,
    more: Partial<Extract<Packet, { cmd: 'connect' }>> = {},
  ) {
    this.send({
      cmd: 'connect',
      clientId: registrationId,
      protocolId: 'MQTT',
      protocolVersion: 4,
      clean: true,
      keepalive: 60,
      username: `${idScope}/registrations/${registrationId}/api-version=${apiVersion}&ClientVersion=test%2F1.0`,
      ...more,
    });
    const connack = (await this.next()) as IConnackPacket | undefined;
    return connack?.returnCode;
  }

  async subscribe(topic = responses, qos: 0 | 1 | 2 = 1): Promise<number[]> {
    this.send({ cmd: 'subscribe', messageId: this.nextId(), subscriptions: [{ topic, qos }] });
    const packet = await this.next();
    if (packet?.cmd !== 'suback') {
      throw new Error(`no SUBACK but ${packet?.cmd}`);
    }
    return packet.granted as number[];
  }

  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  publish(topic: string, payload: string | Buffer, more: Partial<IPublishPacket> = {}): void {
    const packet = { cmd: 'publish', topic, payload, qos: 1, dup: false, retain: false } as const;
    this.send({ ...packet, messageId: this.nextId(), ...more });
  }

  /** PUT or GET with QoS 1: its PUBACK, then its response. @returns undefined if the server closed instead. */
  async ask(
    what: 'register' | { operationId: string },
    rid = '1',
    payload: string | Buffer = '',
  ): Promise<Response | undefined> {
    this.publish(what === 'register' ? registerTopic(rid) : pollTopic(rid, what.operationId), payload);
    const puback = await this.next();
    if (puback === undefined) {
      return undefined;
    }
    if (puback.cmd !== 'puback') {
      throw new Error(`no PUBACK but ${puback.cmd}`);
    }
    return this.response();
  }

  async response(): Promise<Response | undefined> {
    const packet = await this.next();
    if (packet === undefined) {
      return undefined;
    }
    if (packet.cmd !== 'publish') {
      throw new Error(`no PUBLISH but ${packet.cmd}`);
    }
    if (packet.qos === 1) {
      this.send({ cmd: 'puback', messageId: packet.messageId! });
    }
    return responseOf(packet);
  }

  /** Registers as SDKs do: until the response is final. */
  async register(payload: string = ''): Promise<Response | undefined> {
    let response = await this.ask('register', '1', payload);
    for (let rid = 2; response?.status === 202; rid++) {
      response = await this.ask({ operationId: response.json.operationId }, String(rid));
    }
    return response;
  }

  close(): Promise<void> {
    this.stream.destroy();
    return this.closed;
  }
}

export const registerTopic = (rid: string) => `$dps/registrations/PUT/iotdps-register/?$rid=${rid}`;
export const pollTopic = (rid: string, operationId: string) =>
  `$dps/registrations/GET/iotdps-get-operationstatus/?$rid=${rid}&operationId=${operationId}`;

export function responseOf(packet: IPublishPacket): Response {
  const [, status, , retryAfter] =
    /^\$dps\/registrations\/res\/(\d+)\/\?\$rid=([^&]*)(?:&retry-after=(.*))?$/.exec(packet.topic)!;
  const text = packet.payload.toString();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: Number(status), retryAfter, text, json, packet };
}

export async function open(
  emulator: TestEmulator,
  { transport = 'mqtt', identity, chain = [], path, protocols = ['mqtt'] }: ConnectionOptions = {},
): Promise<MqttConnection> {
  const ca = readFileSync(emulator.caCertificate, 'utf8');
  const tls = identity && {
    cert: [identity, ...chain].map(({ pem }) => pem).join('\n'),
    key: identity.keyPem,
  };
  if (transport === 'mqtt') {
    const { hostname, port } = new URL(emulator.mqttEndpoint);
    const socket = connectTls({ host: hostname, port: Number(port), servername: 'localhost', ca, ...tls });
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve).once('error', reject);
    });
    return new MqttConnection(socket);
  }
  const url = `${emulator.mqttWebSocketEndpoint}${path ?? '/$iothub/websocket'}`;
  const webSocket = new WebSocket(url, protocols, { ca, ...tls });
  await new Promise<void>((resolve, reject) => {
    webSocket.once('open', resolve).once('error', reject);
  });
  return new MqttConnection(createWebSocketStream(webSocket));
}

/** A device with a symmetric key that is connected and subscribed. */
export async function connected(
  emulator: TestEmulator,
  registrationId: string,
  key: string | Buffer,
  options: ConnectionOptions = {},
): Promise<MqttConnection> {
  const connection = await open(emulator, options);
  const password = Buffer.from(deviceToken(emulator.idScope, registrationId, key));
  const code = await connection.connect(registrationId, emulator.idScope, { password });
  if (code !== 0) {
    throw new Error(`CONNACK ${code}`);
  }
  await connection.subscribe();
  return connection;
}
