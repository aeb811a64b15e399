/** A part of the bench mqtt: the emulator, or a bare MQTT echo, in a process of its own that tells what it uses. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { generate, type Packet, parser } from 'mqtt-packet';
import { issueServerCertificate, openAuthority } from '../../src/local/dps/certificate-authority.ts';
import { startDpsEmulator } from '../../src/local/dps/emulator.ts';

export interface ServerReady {
  readonly port: number;
  readonly caCertificate: string;
  /** Of the emulator. */
  readonly endpoint: string;
  readonly connectionString: string;
}

export interface ServerUsage {
  readonly cpuSeconds: number;
  /** After a garbage collection. */
  readonly rssMb: number;
}

export class MqttServerProcess {
  readonly ready: ServerReady;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, ready: ServerReady) {
    this.#child = child;
    this.ready = ready;
  }

  static async start(role: 'bare' | 'emulator', directory: string): Promise<MqttServerProcess> {
    const child = fork(fileURLToPath(import.meta.url), [role, directory], { execArgv: ['--expose-gc'] });
    const [ready] = await once(child, 'message');
    return new MqttServerProcess(child, ready as ServerReady);
  }

  async usage(): Promise<ServerUsage> {
    const answer = once(this.#child, 'message');
    this.#child.send('usage');
    const [usage] = await answer;
    return usage as ServerUsage;
  }

  async stop(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exit;
  }
}

/** Answers each packet by what a client of DPS expects, without looking at what it holds. */
async function startBare(directory: string): Promise<ServerReady> {
  const authority = await openAuthority(directory, 'dps-emulator-ca', 'CN=bare');
  const certificate = await issueServerCertificate(authority, ['localhost']);
  const options = { ...certificate, requestCert: true, rejectUnauthorized: false };
  const server = createServer(options, echo);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, caCertificate: authority.certificatePath, endpoint: '', connectionString: '' };
}

const body = JSON.stringify({ operationId: '5.bare', status: 'assigned', filler: 'x'.repeat(300) });

function echo(socket: TLSSocket): void {
  const reader = parser();
  const send = (packet: Packet) => socket.write(generate(packet));
  reader.on('packet', (packet) => {
    const messageId = packet.messageId ?? 1;
    if (packet.cmd === 'connect') {
      send({ cmd: 'connack', returnCode: 0, sessionPresent: false });
    }
    if (packet.cmd === 'subscribe') {
      send({ cmd: 'suback', messageId, granted: [1] });
    }
    if (packet.cmd === 'disconnect') {
      socket.end();
    }
    if (packet.cmd !== 'publish') {
      return;
    }
    send({ cmd: 'puback', messageId });
    const status = packet.topic.includes('/PUT/') ? 202 : 200;
    const topic = `$dps/registrations/res/${status}/${packet.topic.slice(packet.topic.indexOf('?'))}`;
    send({ cmd: 'publish', topic, payload: body, qos: 1, messageId, dup: false, retain: false });
  });
  socket.on('data', (chunk) => reader.parse(chunk));
  socket.on('error', () => socket.destroy());
}

async function startEmulator(directory: string): Promise<ServerReady> {
  const emulator = await startDpsEmulator({ certificateDirectory: directory });
  const { mqttEndpoint, caCertificate, endpoint, connectionString } = emulator;
  return { port: Number(new URL(mqttEndpoint).port), caCertificate, endpoint, connectionString };
}

async function serve(role: string, directory: string): Promise<void> {
  const ready = await (role === 'bare' ? startBare(directory) : startEmulator(directory));
  process.on('message', () => {
    globalThis.gc?.();
    const { user, system } = process.cpuUsage();
    process.send?.({ cpuSeconds: (user + system) / 1e6, rssMb: process.memoryUsage.rss() / 2 ** 20 });
  });
  process.send?.(ready);
}

const [, script = '', role = '', directory = ''] = process.argv;
if (script === fileURLToPath(import.meta.url) && process.send !== undefined) {
  await serve(role, directory);
}
