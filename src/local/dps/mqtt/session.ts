import type { Duplex } from 'node:stream';
import {
  generate,
  type IConnectPacket,
  type IPublishPacket,
  type ISubscribePacket,
  type Packet,
} from 'mqtt-packet';
import type { ReadCertificate } from '../../../dps/certificate-reader.ts';
import { keyOf } from '../enrollment-kinds.ts';
import { closeGraceMs, connectTimeoutMs, maxRequestsInFlight } from '../limits.ts';
import type { EmulatorResponse } from '../responses.ts';
import type { Service } from '../service.ts';
import { accepted, type ConnectedDevice, evaluateConnect, unacceptableProtocolVersion } from './connect.ts';
import { serveDeviceRequest } from './device-requests.ts';
import { PacketReader, ProtocolViolation, UnacceptableProtocolVersion } from './packet-reader.ts';
import { parseRequestTopic, responseFilter, responseTopic } from './topics.ts';

/** MQTT 3.1.2.10: a client is gone after one and a half times its keep-alive. */
const keepAliveFactor = 1.5;
const subscriptionRefused = 128;
const maxPacketId = 65_535;

/** What the MQTT connections of one emulator share. */
export interface MqttContext {
  readonly service: Service;
  /** By registration id: a device that connects again takes the place of its older connection [MQTT-3.1.4-2]. */
  readonly sessions: Map<string, MqttSession>;
}

/** A device's connection, from its first byte on. Nothing of it outlives the connection. */
export class MqttSession {
  readonly #stream: Duplex;
  readonly #presentedChain: () => readonly ReadCertificate[];
  readonly #context: MqttContext;
  readonly #reader = new PacketReader();
  #device: ConnectedDevice | undefined;
  /** The QoS that responses are granted; undefined while the device is not subscribed. */
  #responseQos: 0 | 1 | undefined;
  /** Runs out when the device has been silent for too long. */
  #silence: NodeJS.Timeout | undefined;
  #requestsInFlight = 0;
  #lastPacketId = 0;
  #isUnauthorized = false;
  #isClosed = false;

  /** @param presentedChain the client's certificates, leaf first; asked for only if they are needed. */
  constructor(stream: Duplex, presentedChain: () => readonly ReadCertificate[], context: MqttContext) {
    this.#stream = stream;
    this.#presentedChain = presentedChain;
    this.#context = context;
    this.#expectPacketWithin(connectTimeoutMs);
    stream.on('data', (chunk: Buffer) => {
      if (this.#isClosed) {
        return;
      }
      this.#reader.push(chunk);
      this.#readOn();
    });
    stream.on('drain', () => this.#readOn());
    stream.on('error', () => stream.destroy());
    stream.on('end', () => this.close());
    stream.on('close', () => this.#forget());
  }

  /** Sends what is still to be sent; a client that does not close its side is cut off. */
  close(): void {
    if (this.#isClosed) {
      return;
    }
    this.#forget();
    this.#stream.end();
    this.#stream.resume();
    setTimeout(() => this.#stream.destroy(), closeGraceMs).unref();
  }

  #forget(): void {
    this.#isClosed = true;
    clearTimeout(this.#silence);
    const { sessions } = this.#context;
    const key = this.#device && keyOf(this.#device.registrationId);
    if (key !== undefined && sessions.get(key) === this) {
      sessions.delete(key);
    }
  }

  #expectPacketWithin(ms: number): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#onSilence(), ms).unref();
  }

  /** A device that is not read from, because its requests are under way, is not silent. */
  #onSilence(): void {
    if (this.#requestsInFlight > 0 && this.#stream.isPaused()) {
      this.#silence?.refresh();
    } else {
      this.close();
    }
  }

  /** Handles the packets that are there, as long as the device takes its answers. */
  #readOn(): void {
    // Small packets leave in one piece: an acknowledgement with the response that mostly follows at once.
    this.#stream.cork();
    setImmediate(() => this.#stream.uncork());
    try {
      while (!this.#isClosed && !this.#isBusy()) {
        const packet = this.#reader.next();
        if (packet === undefined) {
          break;
        }
        this.#silence?.refresh();
        this.#handle(packet);
      }
    } catch (error) {
      this.#onError(error);
    }
    if (this.#isClosed) {
      return;
    }
    if (this.#isBusy()) {
      this.#stream.pause();
    } else if (this.#stream.isPaused()) {
      this.#stream.resume();
    }
  }

  #isBusy(): boolean {
    return this.#requestsInFlight >= maxRequestsInFlight || this.#stream.writableNeedDrain;
  }

  #onError(error: unknown): void {
    if (error instanceof UnacceptableProtocolVersion && this.#device === undefined) {
      this.#refuse(unacceptableProtocolVersion, undefined);
    } else {
      if (!(error instanceof ProtocolViolation)) {
        console.error('The DPS emulator failed on MQTT:', error);
      }
      this.close();
    }
  }

  #handle(packet: Packet): void {
    if (this.#device === undefined) {
      // The reader lets nothing else come first.
      if (packet.cmd === 'connect') {
        this.#connect(packet);
      }
      return;
    }
    switch (packet.cmd) {
      case 'publish':
        this.#publish(packet, this.#device);
        break;
      case 'puback':
        break;
      case 'subscribe':
        this.#subscribe(packet);
        break;
      case 'unsubscribe':
        if (packet.unsubscriptions.includes(responseFilter)) {
          this.#responseQos = undefined;
        }
        this.#send({ cmd: 'unsuback', messageId: packet.messageId ?? 0, granted: [] });
        break;
      case 'pingreq':
        this.#send({ cmd: 'pingresp' });
        break;
      case 'disconnect':
        this.close();
        break;
      default:
        throw new ProtocolViolation(`${packet.cmd} is not for a client to send now.`);
    }
  }

  #connect(packet: IConnectPacket): void {
    const { service, sessions } = this.#context;
    const hasCertificate = packet.password === undefined && this.#presentedChain().length > 0;
    const { code, device } = evaluateConnect(packet, service.idScope, hasCertificate);
    if (code !== accepted) {
      this.#refuse(code, device);
      return;
    }
    const key = keyOf(device.registrationId);
    sessions.get(key)?.close();
    sessions.set(key, this);
    this.#device = device;
    clearTimeout(this.#silence);
    this.#silence = undefined;
    const { keepalive = 0 } = packet;
    if (keepalive > 0) {
      this.#expectPacketWithin(keepalive * 1_000 * keepAliveFactor);
    }
    this.#send({ cmd: 'connack', returnCode: accepted, sessionPresent: false });
  }

  #refuse(returnCode: number, device: ConnectedDevice | undefined): void {
    const { service } = this.#context;
    const path = device ? `/${device.idScope}/registrations/${device.registrationId}` : '';
    service.log.add({
      at: service.now(),
      method: 'MQTT CONNECT',
      path,
      operation: undefined,
      status: `CONNACK ${returnCode}`,
    });
    this.#send({ cmd: 'connack', returnCode, sessionPresent: false });
    this.close();
  }

  #subscribe({ messageId = 0, subscriptions }: ISubscribePacket): void {
    const granted = subscriptions.map(({ topic, qos }) => {
      if (topic !== responseFilter) {
        return subscriptionRefused;
      }
      this.#responseQos = qos === 0 ? 0 : 1;
      return this.#responseQos;
    });
    this.#send({ cmd: 'suback', messageId, granted });
  }

  #publish({ topic: name, qos, messageId = 0, payload }: IPublishPacket, device: ConnectedDevice): void {
    const topic = parseRequestTopic(name);
    if (topic === undefined) {
      throw new ProtocolViolation('The topic is none of the service.');
    }
    if (qos === 2) {
      throw new ProtocolViolation('QoS 2 is not supported.');
    }
    // Before the response: the .NET SDK takes nothing but PUBLISH after it.
    if (qos === 1) {
      this.#send({ cmd: 'puback', messageId });
    }
    // Seen of the service: after a 401 it acknowledges one more request, and closes.
    if (this.#isUnauthorized) {
      this.close();
      return;
    }
    this.#requestsInFlight += 1;
    const request = { device, chain: this.#presentedChain(), topic, payload: Buffer.from(payload) };
    const reply = {
      send: (response: EmulatorResponse) => this.#respond(response, topic.rid),
      sendHalf: (response: EmulatorResponse) => this.#respondHalf(response, topic.rid),
      cut: () => void this.#stream.destroy(),
    };
    serveDeviceRequest(this.#context.service, request, reply)
      .then(() => {
        this.#requestsInFlight -= 1;
        this.#readOn();
      })
      .catch((error) => this.#onError(error));
  }

  #respond(response: EmulatorResponse, rid: string): void {
    if (response.status === 401) {
      this.#isUnauthorized = true;
    }
    const packet = this.#responsePacket(response, rid);
    if (packet !== undefined) {
      this.#send(packet);
    }
  }

  #respondHalf(response: EmulatorResponse, rid: string): void {
    const packet = this.#responsePacket(response, rid);
    if (packet === undefined || this.#isClosed) {
      return;
    }
    const bytes = generate(packet);
    this.#stream.write(bytes.subarray(0, Math.floor(bytes.length / 2)), () => this.#stream.destroy());
  }

  #responsePacket({ status, text = '', headers }: EmulatorResponse, rid: string): IPublishPacket | undefined {
    const qos = this.#responseQos;
    if (qos === undefined) {
      return undefined;
    }
    if (qos === 1) {
      this.#lastPacketId = (this.#lastPacketId % maxPacketId) + 1;
    }
    return {
      cmd: 'publish',
      topic: responseTopic(status, rid, headers?.['Retry-After']),
      payload: text,
      qos,
      retain: false,
      dup: false,
      ...(qos === 1 && { messageId: this.#lastPacketId }),
    };
  }

  #send(packet: Packet): void {
    if (!this.#isClosed) {
      this.#stream.write(generate(packet));
    }
  }
}
