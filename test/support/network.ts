import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';

/** What the way is like; latency and half closing are those of the way back. */
export interface Conditions {
  readonly latencyInMs?: number;
  readonly bytesPerSecond?: number;
  /** In pieces of so many bytes. */
  readonly sliceBytes?: number;
  /** So many bytes of an answer come through; then this side is closed, and the other stays open. */
  readonly halfCloseAfterBytes?: number;
}

const slicesPerSecond = 20;

/** A bad network between the app and a service, on a free port: TCP, so that it knows nothing of what it carries. */
export class BadNetwork {
  conditions: Conditions = {};
  /** Bytes of answers that were let through. */
  delivered = 0;
  connections = 0;
  readonly #server: net.Server;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<() => void>();

  private constructor(server: net.Server) {
    this.#server = server;
  }

  static async start(target: { readonly host: string; readonly port: number }): Promise<BadNetwork> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true });
    const network = new BadNetwork(server);
    server.on('connection', (client) => network.#connect(client, target));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return network;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get open(): number {
    return this.#sockets.size;
  }

  async close(): Promise<void> {
    for (const wake of this.#timers) {
      wake();
    }
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    this.#server.close();
    await once(this.#server, 'close');
  }

  #connect(client: Socket, target: { host: string; port: number }): void {
    this.connections++;
    this.#sockets.add(client);
    const service = net.connect(target);
    client.on('data', async (chunk) => {
      client.pause();
      await this.#carry(chunk, service);
      client.resume();
    });
    client.on('end', () => service.end());
    for (const socket of [client, service]) {
      socket.on('error', () => socket.destroy());
    }
    client.on('close', () => {
      this.#sockets.delete(client);
      service.destroy();
    });
    service.on('close', () => client.destroy());
    let left = this.conditions.halfCloseAfterBytes ?? Number.POSITIVE_INFINITY;
    service.on('data', async (chunk) => {
      service.pause();
      const passing = chunk.subarray(0, left);
      left -= passing.length;
      if (this.conditions.latencyInMs) {
        await this.#pause(this.conditions.latencyInMs);
      }
      await this.#carry(passing, client);
      this.delivered += passing.length;
      if (left <= 0) {
        client.end();
      } else {
        service.resume();
      }
    });
  }

  async #carry(bytes: Buffer, to: Socket): Promise<void> {
    const { bytesPerSecond, sliceBytes } = this.conditions;
    const slice = sliceBytes ?? (bytesPerSecond ? Math.ceil(bytesPerSecond / slicesPerSecond) : bytes.length);
    for (let start = 0; start < bytes.length && !to.destroyed; start += slice) {
      to.write(bytes.subarray(start, start + slice));
      if (bytesPerSecond) {
        await this.#pause(1_000 / slicesPerSecond);
      } else {
        await new Promise(setImmediate);
      }
    }
  }

  #pause(inMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#timers.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, inMs);
      this.#timers.add(wake);
    });
  }
}
