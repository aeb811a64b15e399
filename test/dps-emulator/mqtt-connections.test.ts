import { readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { generate } from 'mqtt-packet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Identity, makeCertificate } from './certificates.ts';
import { deviceToken, startTestEmulator, symmetric, type TestEmulator } from './harness.ts';
import { connected, open, pollTopic, registerTopic, responses } from './mqtt-client.ts';

let emulator: TestEmulator;
let key: string;
let token: Buffer;
beforeAll(async () => {
  emulator = await startTestEmulator();
  const { json } = await emulator.call('PUT', '/enrollments/dev-1', { body: symmetric('dev-1') });
  key = json.attestation.symmetricKey.primaryKey;
  token = Buffer.from(deviceToken(emulator.idScope, 'dev-1', key));
});
afterAll(() => emulator.stop());

async function stillServes(): Promise<void> {
  const device = await connected(emulator, 'dev-1', key);
  expect((await device.register())?.json.status).toBe('assigned');
  await device.close();
}

describe('CONNECT', () => {
  const Scope = '0ne00EE0001';
  const query = 'api-version=2019-03-31&ClientVersion=x';

  it.each([
    ['all is well', `${Scope}/registrations/dev-1/${query}`, 0],
    ['the id scope is in other letters', `${Scope.toLowerCase()}/registrations/dev-1/${query}`, 0],
    ['the device is not enrolled, which only registering tells', `${Scope}/registrations/nobody/${query}`, 0],
    ['the agent has slashes', `${Scope}/registrations/dev-1/${query}/1.0 (a/b)`, 0],
    ['the id scope is unknown', `0ne00FFFFFF/registrations/dev-1/${query}`, 3],
    ['there is no user name', undefined, 4],
    ['the user name is empty', '', 4],
    ['the user name is no path', 'dev-1', 4],
    ['the registration id is missing', `${Scope}/registrations//${query}`, 4],
    ['the registration id is none', `${Scope}/registrations/-dev/${query}`, 4],
    ['the query is missing', `${Scope}/registrations/dev-1`, 4],
    ['the api-version is missing', `${Scope}/registrations/dev-1/ClientVersion=x`, 4],
    ['the api-version is unknown', `${Scope}/registrations/dev-1/api-version=2018-01-01`, 4],
  ])('is answered, where %s: CONNACK', async (_, username, code) => {
    const device = await open(emulator);
    const [, , registrationId = ''] = username?.split('/') ?? [];
    const credentials = username === undefined ? { username } : { username, password: token };
    expect(await device.connect(registrationId || 'x', Scope, credentials as object)).toBe(code);
    if (code === 0) {
      await device.close();
    } else {
      expect(await device.next()).toBeUndefined();
    }
    await device.closed;
  });

  it('is a 5 if the client id is not the registration id, or nothing proves who it is', async () => {
    for (const wrong of [
      { clientId: 'dev-2', password: token },
      { clientId: 'DEV-1', password: token },
      { clientId: '', password: token },
      {},
    ]) {
      const device = await open(emulator);
      expect(await device.connect('dev-1', emulator.idScope, wrong)).toBe(5);
      await device.closed;
    }
  });

  it('takes a certificate for a password, whatever it is worth', async () => {
    const identity: Identity = await makeCertificate('CN=somebody');
    for (const transport of ['mqtt', 'mqtt-ws'] as const) {
      const device = await open(emulator, { transport, identity });
      expect(await device.connect('dev-1', emulator.idScope)).toBe(0);
      await device.close();
    }
  });

  it('never finds a session: SessionPresent is 0, and nothing is subscribed', async () => {
    for (const clean of [false, true, false]) {
      const device = await open(emulator);
      device.send({
        cmd: 'connect',
        clientId: 'dev-1',
        clean,
        keepalive: 0,
        username: `${emulator.idScope}/registrations/dev-1/api-version=2019-03-31`,
        password: token,
      });
      expect(await device.next()).toMatchObject({ returnCode: 0, sessionPresent: false });
      device.publish(registerTopic('1'), '');
      expect((await device.next())?.cmd).toBe('puback');
      device.send({ cmd: 'pingreq' });
      expect((await device.next())?.cmd).toBe('pingresp');
      if (!clean) {
        await device.subscribe();
      }
      await device.close();
    }
  });

  it.each([
    ['3.1', { protocolId: 'MQIsdp', protocolVersion: 3 }],
    ['5', { protocolId: 'MQTT', protocolVersion: 5 }],
  ] as const)('of MQTT %s is answered with CONNACK 1 and closed', async (_, protocol) => {
    const device = await open(emulator);
    expect(await device.connect('dev-1', emulator.idScope, { ...protocol, password: token })).toBe(1);
    expect(await device.next()).toBeUndefined();
  });

  it.each([
    ['a level that does not exist', 'CONNACK 1', '\0\x04MQTT\x09\x02\0\0\0\x01a'],
    ['a bridge', 'CONNACK 1', '\0\x04MQTT\x84\x02\0\0\0\x01a'],
    ['another protocol', 'nothing', '\0\x04AMQP\x04\x02\0\0\0\x01a'],
    ['a reserved flag', 'nothing', '\0\x04MQTT\x04\x03\0\0\0\x01a'],
    ['a password without a user name', 'nothing', '\0\x04MQTT\x04\x42\0\0\0\x01a\0\x01p'],
    ['a will of QoS 3', 'nothing', '\0\x04MQTT\x04\x1a\0\0\0\x01a'],
  ])('with %s gets %s', async (_, expected, content) => {
    const device = await open(emulator);
    device.send(Buffer.from(`\x10${String.fromCharCode(content.length)}${content}`, 'latin1'));
    const answer = await device.next();
    expect(answer?.cmd === 'connack' ? `CONNACK ${answer.returnCode}` : 'nothing').toBe(expected);
    await device.closed;
  });
});

describe('a connection is closed', () => {
  const first: [string, Buffer][] = [
    ['a PUBLISH before CONNECT', generate(publish())],
    ['a PINGREQ before CONNECT', generate({ cmd: 'pingreq' })],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
    ['a length of five bytes', Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0x01])],
    ['the announcement of 256 MB', Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f])],
  ];
  it.each(first)('by %s', async (_, bytes) => {
    const device = await open(emulator);
    device.send(bytes);
    expect(await device.next()).toBeUndefined();
  });

  const later: [string, Buffer][] = [
    ['a second CONNECT', generate({ cmd: 'connect', clientId: 'dev-1', username: 'x' })],
    ['a packet that only servers send', generate({ cmd: 'pingresp' })],
    ['a topic of somebody else', generate(publish({ topic: 'devices/dev-1/messages/events/' }))],
    ['a topic without rid', generate(publish({ topic: '$dps/registrations/PUT/iotdps-register/' }))],
    ['a topic with more than is documented', generate(publish({ topic: `${registerTopic('1')}&x=1` }))],
    ['a topic whose rid is no ASCII', generate(publish({ topic: registerTopic('é') }))],
    [
      'a topic whose rid has more than 1,024 characters',
      generate(publish({ topic: registerTopic('x'.repeat(1_025)) })),
    ],
    ['QoS 2', generate(publish({ qos: 2 }))],
    ['QoS 3', Buffer.from([0x36, 0])],
    ['a duplicate of QoS 0', generate(publish({ qos: 0, dup: true }))],
    ['a SUBSCRIBE without filters', Buffer.from([0x82, 2, 0, 1])],
    ['a SUBSCRIBE with wrong flags', Buffer.from([0x80, 2, 0, 1])],
    ['a packet identifier of 0', Buffer.from([0x82, 6, 0, 0, 0, 1, 0x61, 0])],
    ['an UNSUBSCRIBE without filters', Buffer.from([0xa2, 2, 0, 1])],
    ['a string that is longer than its packet', Buffer.from([0x82, 5, 0, 1, 0xff, 0xff, 0x61])],
    ['a packet over 97 KB', generate(publish({ payload: Buffer.alloc(98 * 1024) }))],
    ['the end of the stream', Buffer.alloc(0)],
    ['DISCONNECT', generate({ cmd: 'disconnect' })],
  ];
  it.each(later)('by %s, and unanswered', async (_, bytes) => {
    const device = await connected(emulator, 'dev-1', key);
    if (bytes.length === 0) {
      device.stream.end();
    } else {
      device.send(bytes);
    }
    expect(await device.next()).toBeUndefined();
    await stillServes();
  });

  it('when it is silent for one and a half times its keep-alive, and not while it pings', async () => {
    const [silent, pinging] = await Promise.all([open(emulator), open(emulator)]);
    expect(await silent.connect('silent', emulator.idScope, withKeepAlive('silent', 1))).toBe(0);
    expect(await pinging.connect('pinging', emulator.idScope, withKeepAlive('pinging', 1))).toBe(0);
    let pongs = 0;
    const ping = async () => {
      pinging.send({ cmd: 'pingreq' });
      if ((await pinging.next())?.cmd === 'pingresp') {
        pongs += 1;
      }
    };
    const timer = setInterval(() => void ping(), 300);
    await silent.closed;
    const atClosing = pongs;
    while (pongs < atClosing + 3) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    clearInterval(timer);
    expect(atClosing).toBeGreaterThan(0);
    await pinging.close();
  });

  it('when the same device connects again; other devices are left alone', async () => {
    const older = await connected(emulator, 'dev-1', key);
    const other = await open(emulator);
    await other.connect('dev-2', emulator.idScope, { password: token });
    const newer = await connected(emulator, 'dev-1', key, { transport: 'mqtt-ws' });
    expect(await older.next()).toBeUndefined();
    other.send({ cmd: 'pingreq' });
    expect((await other.next())?.cmd).toBe('pingresp');
    expect((await newer.register())?.json.status).toBe('assigned');
    await Promise.all([newer.close(), other.close()]);
  });

  it('with the emulator, whatever its state', async () => {
    const own = await startTestEmulator();
    const { json } = await own.call('PUT', '/enrollments/dev-1', { body: symmetric('dev-1') });
    const devices = [
      await connected(own, 'dev-1', json.attestation.symmetricKey.primaryKey),
      await open(own),
      await open(own, { transport: 'mqtt-ws' }),
    ];
    const { port } = new URL(own.mqttEndpoint);
    const beforeHandshake = connectTcp(Number(port), '127.0.0.1');
    beforeHandshake.on('error', () => {});
    await new Promise((resolve) => beforeHandshake.once('connect', resolve));
    const gone = new Promise((resolve) => beforeHandshake.once('close', resolve));
    await own.stop();
    await Promise.all([...devices.map((device) => device.closed), gone]);
  });

  function withKeepAlive(id: string, keepalive: number) {
    return { keepalive, password: Buffer.from(deviceToken(emulator.idScope, id, key)) };
  }
});

describe('a connection stays', () => {
  it('when a filter is refused, which SUBACK says with 128', async () => {
    const device = await connected(emulator, 'dev-1', key);
    for (const filter of ['#', '$dps/#', '$dps/registrations/res/+', 'devices/#']) {
      expect(await device.subscribe(filter)).toEqual([128]);
    }
    const subscriptions = [
      { topic: '#', qos: 0 },
      { topic: responses, qos: 1 },
    ] as const;
    device.send({ cmd: 'subscribe', messageId: 50, subscriptions: [...subscriptions] });
    expect(await device.next()).toMatchObject({ cmd: 'suback', messageId: 50, granted: [128, 1] });
    expect((await device.register())?.json.status).toBe('assigned');
    await device.close();
  });

  it('for several registrations', async () => {
    const device = await connected(emulator, 'dev-1', key);
    for (let time = 0; time < 3; time++) {
      expect((await device.register())?.json.status).toBe('assigned');
    }
    await device.close();
  });

  it('through a flood of requests, all of which are answered, and only to the device that asked', async () => {
    const Flood = 2_000;
    const quiet = await open(emulator);
    await quiet.connect('quiet', emulator.idScope, { password: token });
    await quiet.subscribe();
    const device = await connected(emulator, 'dev-1', key);
    const packets = [];
    for (let rid = 1; rid <= Flood; rid++) {
      packets.push(generate(publish({ topic: registerTopic(String(rid)), qos: 0 })));
    }
    device.send(Buffer.concat(packets));
    const rids = new Set<string>();
    while (rids.size < Flood) {
      const response = await device.response();
      expect(response?.status).toBe(202);
      rids.add(/\$rid=(\d+)/.exec(response?.packet.topic ?? '')?.[1] ?? '');
    }
    quiet.send({ cmd: 'pingreq' });
    expect((await quiet.next())?.cmd).toBe('pingresp');
    await Promise.all([device.close(), quiet.close()]);
  });

  it('without holding up others when a device sends a flood and reads nothing', async () => {
    const { hostname, port } = new URL(emulator.mqttEndpoint);
    const ca = readFileSync(emulator.caCertificate, 'utf8');
    const socket = connectTls({ host: hostname, port: Number(port), servername: 'localhost', ca });
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    const { json } = await emulator.call('PUT', '/enrollments/mute', { body: symmetric('mute') });
    const own = deviceToken(emulator.idScope, 'mute', json.attestation.symmetricKey.primaryKey);
    const username = `${emulator.idScope}/registrations/mute/api-version=2019-03-31`;
    const password = Buffer.from(own);
    socket.write(generate({ cmd: 'connect', clientId: 'mute', username, password, keepalive: 1 }));
    const subscriptions = [{ topic: responses, qos: 0 }] as const;
    socket.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions: [...subscriptions] }));
    const topic = pollTopic('r'.repeat(1_000), 'none');
    const flood = Buffer.concat(Array.from({ length: 50 }, () => generate(publish({ topic, qos: 0 }))));
    let poured = 0;
    const pour = () => {
      poured += 1;
      socket.write(flood, (error) => error ?? pour());
    };
    pour();
    await stillServes();
    // Nobody reads its answers, so the emulator reads no more, hears nothing, and closes.
    await new Promise((resolve) => socket.once('close', resolve));
    expect(poured).toBeGreaterThan(20);
    await stillServes();
  });

  it('when its packets come byte by byte', async () => {
    const device = await open(emulator);
    const packet = generate({
      cmd: 'connect',
      clientId: 'dev-1',
      username: `${emulator.idScope}/registrations/dev-1/api-version=2019-03-31`,
      password: token,
    });
    for (const byte of packet) {
      device.send(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await device.next()).toMatchObject({ cmd: 'connack', returnCode: 0 });
    await device.close();
  });
});

describe('WebSockets', () => {
  it.each(['/$iothub/websocket', '/$iothub/websocket?iothub-no-client-cert=true', '/'])(
    'are taken at %s',
    async (path) => {
      const device = await connected(emulator, 'dev-1', key, { transport: 'mqtt-ws', path });
      expect((await device.register())?.json.status).toBe('assigned');
      await device.close();
    },
  );

  it('speak the subprotocol mqtt, in the letters in which it was offered', async () => {
    for (const protocol of ['mqtt', 'MQTT']) {
      const { webSocket } = await upgrade('/', [protocol]);
      expect(webSocket.protocol).toBe(protocol);
      webSocket.terminate();
    }
  });

  it.each([
    ['another path', '/mqtt', ['mqtt'], {}, 404],
    ['no subprotocol', '/', [], {}, 400],
    ['another subprotocol', '/', ['amqp'], {}, 400],
    ['a page of another site', '/', ['mqtt'], { origin: 'https://example.com' }, 403],
  ])('are refused to %s', async (_, path, protocols, headers, status) => {
    expect((await upgrade(path, protocols, headers)).status).toBe(status);
  });

  it('are closed when a frame holds text', async () => {
    const { webSocket } = await upgrade('/', ['mqtt']);
    const closed = new Promise((resolve) => webSocket.once('close', resolve));
    webSocket.send('CONNECT');
    expect(await closed).toBe(1003);
  });

  it('are not there without TLS', async () => {
    const webSocket = new WebSocket(emulator.endpoint.replace('http', 'ws'), ['mqtt']);
    await expect(new Promise((_, reject) => webSocket.once('error', reject))).rejects.toThrow('404');
  });

  async function upgrade(path: string, protocols: string[], headers = {}) {
    const ca = readFileSync(emulator.caCertificate, 'utf8');
    const webSocket = new WebSocket(`${emulator.mqttWebSocketEndpoint}${path}`, protocols, { ca, headers });
    const status = await new Promise<number>((resolve, reject) => {
      webSocket.once('open', () => resolve(101));
      webSocket.once('unexpected-response', (_, response) => resolve(response.statusCode ?? 0));
      webSocket.once('error', reject);
    });
    return { webSocket, status };
  }
});

function publish(more: object = {}) {
  const packet = { topic: registerTopic('1'), payload: '', qos: 1, dup: false, retain: false } as const;
  return { cmd: 'publish', messageId: 1, ...packet, ...more } as const;
}
