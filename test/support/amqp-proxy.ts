import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';

import type { Fate } from './proxy.ts';

/** What the app says to Service Bus that matters: it sends a message, or settles one that it received. */
export type BusFrame = 'transfer' | 'disposition';

export interface AmqpProxyOptions {
  readonly target: { readonly host: string; readonly port: number };
  /** Decides on each of these frames from the app, before Service Bus sees it. */
  fate(frame: BusFrame): Fate;
  /** Called when a fate other than `pass` has come about; nothing goes on until it is done. */
  struck(): Promise<void>;
}

const protocolHeaderLength = 8;
const performatives: Readonly<Record<number, BusFrame>> = { 20: 'transfer', 21: 'disposition' };

/** Stands between the app and Service Bus, frame by frame (AMQP 1.0, section 2.3), on a free port. */
export class AmqpProxy {
  readonly #server: net.Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: net.Server) {
    this.#server = server;
  }

  static async start(options: AmqpProxyOptions): Promise<AmqpProxy> {
    const server = net.createServer();
    const proxy = new AmqpProxy(server);
    server.on('connection', (client) => proxy.#connect(client, options));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resolves when neither the app nor Service Bus has a connection to here any more. */
  async deserted(): Promise<void> {
    while (this.#sockets.size > 0) {
      await new Promise(setImmediate);
    }
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    this.#server.close();
    await once(this.#server, 'close');
  }

  #connect(client: Socket, { target, fate, struck }: AmqpProxyOptions): void {
    const service = net.connect(target);
    const both = [client, service];
    for (const socket of both) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        for (const each of both) {
          each.destroy();
        }
      });
    }
    let answerStrikes = false;
    const fromClient = new Frames(async (bytes, frame) => {
      const decided = frame ? fate(frame) : 'pass';
      if (decided === 'cut-before') {
        return struck();
      }
      service.write(bytes);
      if (decided === 'cut-after') {
        await struck();
      }
      if (decided === 'pass-and-tell') {
        answerStrikes = true;
      }
    });
    const fromService = new Frames(async (bytes, frame) => {
      client.write(bytes);
      if (!answerStrikes || frame !== 'disposition') {
        return;
      }
      answerStrikes = false;
      await struck();
    });
    client.on('data', (chunk) => fromClient.push(chunk));
    service.on('data', (chunk) => fromService.push(chunk));
  }
}

/** Cuts a stream into protocol headers and frames, and hands them on one after the other. */
class Frames {
  readonly #handle: (bytes: Buffer, frame: BusFrame | undefined) => Promise<void>;
  #rest: Buffer = Buffer.alloc(0);
  #turn: Promise<void> = Promise.resolve();

  constructor(handle: (bytes: Buffer, frame: BusFrame | undefined) => Promise<void>) {
    this.#handle = handle;
  }

  push(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const isHeader = this.#rest.subarray(0, 4).toString('latin1') === 'AMQP';
      const length = isHeader ? protocolHeaderLength : this.#rest.length < 4 ? 4 : this.#rest.readUInt32BE();
      if (this.#rest.length < Math.max(length, protocolHeaderLength)) {
        return;
      }
      const bytes = this.#rest.subarray(0, length);
      this.#rest = this.#rest.subarray(length);
      const frame = isHeader ? undefined : frameOf(bytes);
      this.#turn = this.#turn.then(() => this.#handle(bytes, frame)).catch(() => {});
    }
  }
}

function frameOf(bytes: Buffer): BusFrame | undefined {
  const body = bytes.subarray(4 * (bytes[4] ?? 2));
  // A described type whose descriptor is a small ulong: as every client and the emulator write it.
  if (bytes[5] !== 0 || body[0] !== 0x00 || body[1] !== 0x53) {
    return undefined;
  }
  return performatives[body[2] ?? 0];
}
