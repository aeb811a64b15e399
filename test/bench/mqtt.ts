/** Devices that register over MQTT with the DPS emulator, beside a bare MQTT echo of the same packets. */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { generate, type Packet, parser } from 'mqtt-packet';
import { DeviceProvisioningClient } from '../../src/dps/client.ts';
import { deriveDeviceKey } from '../../src/dps/device-key.ts';
import type { Report } from './figure.ts';
import { MqttServerProcess } from './mqtt-server.ts';

const deviceCount = Number(process.env.DEVICES ?? 10_000);
const warmUpDevices = 200;
const atOnce = 64;
const idleConnections = 1_000;
const maxIdleMb = 50;
const goalPerMinute = 10_000;
const defaultIdScope = '0ne00EE0001';

export async function run(report: Report): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'mqtt-bench-'));
  const bare = await MqttServerProcess.start('bare', join(directory, 'bare'));
  const emulator = await MqttServerProcess.start('emulator', join(directory, 'emulator'));
  try {
    const groupKey = await makeGroup(emulator.ready.connectionString);
    const echo = await measureMany(bare, groupKey);
    const own = await measureMany(emulator, groupKey);
    const known = await registrationsOf(emulator.ready.endpoint);
    const lost = own.lost + Math.max(0, deviceCount + warmUpDevices - known - own.lost);
    report({
      name: `DPS emulator: ${deviceCount.toLocaleString('en')} devices registering over MQTT`,
      value: Math.round(own.perMinute),
      unit: 'devices/min',
      baseline: Math.round(echo.perMinute),
      ratio: own.perMinute / echo.perMinute,
      goal: `at least ${goalPerMinute.toLocaleString('en')} a minute`,
      met: own.perMinute >= goalPerMinute,
    });
    report({
      name: 'DPS emulator: devices lost among them',
      value: lost,
      unit: 'devices',
      baseline: echo.lost,
      goal: 'none',
      met: lost === 0,
    });
    const cost = own.cpuMs / echo.cpuMs;
    report({
      name: 'DPS emulator: CPU of one such device, its TLS included',
      value: own.cpuMs,
      unit: 'ms',
      baseline: echo.cpuMs,
      ratio: cost,
      goal: 'at most 2 times a bare echo',
      met: cost <= 2,
    });
    const idle = await memoryOfIdle(emulator, groupKey);
    const bareIdle = await memoryOfIdle(bare, groupKey);
    report({
      name: `DPS emulator: memory of ${idleConnections.toLocaleString('en')} idle MQTT connections`,
      value: idle,
      unit: 'MB resident',
      baseline: bareIdle,
      ratio: idle / bareIdle,
      goal: `at most ${maxIdleMb} over none`,
      met: idle <= maxIdleMb,
    });
  } finally {
    await Promise.all([bare.stop(), emulator.stop()]);
    await rm(directory, { recursive: true, force: true });
  }
}

/** @returns its primary key, base64. */
async function makeGroup(connectionString: string): Promise<string> {
  await using client = DeviceProvisioningClient.fromConnectionString(connectionString);
  const group = { enrollmentGroupId: 'bench', attestation: { type: 'symmetricKey' } } as const;
  await client.enrollmentGroups.createOrUpdate(group);
  const { symmetricKey } = await client.enrollmentGroups.getAttestationMechanism('bench');
  return symmetricKey?.primaryKey ?? '';
}

async function registrationsOf(endpoint: string): Promise<number> {
  const stats = (await (await fetch(`${endpoint}/_emulator/stats`)).json()) as { registrations: number };
  return stats.registrations;
}

async function measureMany(server: MqttServerProcess, groupKey: string) {
  const line = lineTo(server);
  await registerMany(line, groupKey, 'warm', warmUpDevices);
  const before = await server.usage();
  const startedAt = performance.now();
  const lost = await registerMany(line, groupKey, 'device', deviceCount);
  const seconds = (performance.now() - startedAt) / 1_000;
  const cpuSeconds = (await server.usage()).cpuSeconds - before.cpuSeconds;
  return { lost, perMinute: (deviceCount / seconds) * 60, cpuMs: (cpuSeconds / deviceCount) * 1_000 };
}

interface Line {
  readonly port: number;
  readonly trust: SecureContext;
}

function lineTo({ ready }: MqttServerProcess): Line {
  return { port: ready.port, trust: createSecureContext({ ca: readFileSync(ready.caCertificate) }) };
}

/** @returns how many did not end as assigned. */
async function registerMany(line: Line, groupKey: string, prefix: string, count: number): Promise<number> {
  let next = 0;
  let lost = 0;
  const worker = async () => {
    for (let index = next++; index < count; index = next++) {
      const isAssigned = await register(line, `${prefix}-${index}`, groupKey).catch(() => false);
      if (!isAssigned) {
        lost += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return lost;
}

async function register(line: Line, id: string, groupKey: string): Promise<boolean> {
  const device = await BenchDevice.connect(line, id, groupKey);
  const begun = await device.ask('$dps/registrations/PUT/iotdps-register/?$rid=1');
  const topic = '$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2';
  const { status } = await device.ask(`${topic}&operationId=${begun.operationId}`);
  await device.end();
  return status === 'assigned';
}

/** A connection without more than a registration needs. */
class BenchDevice {
  readonly #socket: TLSSocket;
  #resolve: (packet: Packet) => void = () => {};
  #reject: (error: Error) => void = () => {};

  private constructor(socket: TLSSocket) {
    this.#socket = socket;
    const reader = parser();
    reader.on('packet', (packet) => {
      if (packet.cmd === 'puback') {
        return;
      }
      if (packet.cmd === 'publish') {
        this.#send({ cmd: 'puback', messageId: packet.messageId ?? 1 });
      }
      this.#resolve(packet);
    });
    socket.on('data', (chunk) => reader.parse(chunk));
    socket.on('error', (error) => this.#reject(error));
    socket.on('close', () => this.#reject(new Error('closed')));
  }

  /** Connected and subscribed. */
  static async connect({ port, trust }: Line, id: string, groupKey: string): Promise<BenchDevice> {
    const socket = connect({ host: 'localhost', port, secureContext: trust });
    const device = new BenchDevice(socket);
    const connack = await device.#exchange({
      cmd: 'connect',
      clientId: id,
      keepalive: 0,
      username: `${defaultIdScope}/registrations/${id}/api-version=2019-03-31`,
      password: Buffer.from(tokenOf(id, groupKey)),
    });
    if (connack.cmd !== 'connack' || connack.returnCode !== 0) {
      throw new Error('refused');
    }
    const subscriptions = [{ topic: '$dps/registrations/res/#', qos: 1 } as const];
    await device.#exchange({ cmd: 'subscribe', messageId: 1, subscriptions });
    return device;
  }

  async ask(topic: string): Promise<{ operationId: string; status: string }> {
    const packet = { cmd: 'publish', topic, payload: ' ', qos: 1, messageId: 2 } as const;
    const answer = await this.#exchange({ ...packet, dup: false, retain: false });
    if (answer.cmd !== 'publish') {
      throw new Error(`no response but ${answer.cmd}`);
    }
    return JSON.parse(answer.payload.toString());
  }

  async end(): Promise<void> {
    const closed = new Promise((resolve) => this.#socket.once('close', resolve));
    this.#send({ cmd: 'disconnect' });
    this.#socket.end();
    await closed;
  }

  #exchange(packet: Packet): Promise<Packet> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#send(packet);
    });
  }

  #send(packet: Packet): void {
    this.#socket.write(generate(packet));
  }
}

function tokenOf(id: string, groupKey: string): string {
  const resource = encodeURIComponent(`${defaultIdScope}/registrations/${id}`);
  const expiry = Math.floor(Date.now() / 1_000) + 3_600;
  const key = Buffer.from(deriveDeviceKey(groupKey, id), 'base64');
  const signature = createHmac('sha256', key).update(`${resource}\n${expiry}`).digest('base64');
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expiry}&skn=registration`;
}

/** Megabytes that connected and subscribed devices cost a server while they say nothing. */
async function memoryOfIdle(server: MqttServerProcess, groupKey: string): Promise<number> {
  const line = lineTo(server);
  const before = await server.usage();
  const devices: BenchDevice[] = [];
  for (let index = 0; index < idleConnections; index += atOnce) {
    const ids = Array.from({ length: Math.min(atOnce, idleConnections - index) }, (_, at) => index + at);
    const connected = ids.map((id) => BenchDevice.connect(line, `idle-${id}`, groupKey));
    devices.push(...(await Promise.all(connected)));
  }
  const after = await server.usage();
  await Promise.all(devices.map((device) => device.end()));
  return after.rssMb - before.rssMb;
}
