import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DeviceProvisioningClient } from '../../src/dps/client.ts';
import type { DeviceProvisioningClientOptions } from '../../src/dps/client-options.ts';

/** A request as it arrived. */
export interface Arrival {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export type Answer =
  | { status: number; headers?: Record<string, string>; body?: unknown }
  | ((response: ServerResponse, arrival: Arrival) => void);

/** A service on a real socket that answers as scripted, for what the emulator cannot be made to do. */
export class ScriptedService {
  readonly arrivals: Arrival[] = [];
  readonly #answers: Answer[];
  readonly #server: Server;

  private constructor(server: Server, answers: Answer[]) {
    this.#server = server;
    this.#answers = answers;
  }

  /** Answers in turn; the last one again and again. */
  static async start(...answers: Answer[]): Promise<ScriptedService> {
    const server = createServer();
    const service = new ScriptedService(server, answers);
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        const arrival = {
          method: request.method ?? '',
          url: request.url ?? '',
          headers: request.headers,
          body: Buffer.concat(chunks).toString(),
        };
        service.arrivals.push(arrival);
        service.#answer(arrival, response);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return service;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  connections(): Promise<number> {
    return new Promise((resolve, reject) =>
      this.#server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
    );
  }

  client(options: DeviceProvisioningClientOptions = {}): DeviceProvisioningClient {
    return DeviceProvisioningClient.fromConnectionString(
      `HostName=${this.host};SharedAccessKeyName=policy;SharedAccessKey=a2V5a2V5a2V5a2V5;UseDevelopmentEmulator=true`,
      options,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(arrival: Arrival, response: ServerResponse): void {
    const answer = this.#answers.length > 1 ? this.#answers.shift()! : this.#answers[0]!;
    if (typeof answer === 'function') {
      answer(response, arrival);
      return;
    }
    const body = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
    response.end(body);
  }
}

/** Ends the connection without an answer. */
export const hangUp: Answer = (response) => response.destroy();
