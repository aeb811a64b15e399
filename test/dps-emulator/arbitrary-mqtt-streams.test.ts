import { readFileSync } from 'node:fs';
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';
import fc from 'fast-check';
import { generate, type Packet } from 'mqtt-packet';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { derivedKey, deviceToken, startTestEmulator, symmetricGroup, type TestEmulator } from './harness.ts';
import { MqttConnection, pollTopic, registerTopic, responses } from './mqtt-client.ts';

const streamCount = 5_000;
/** Connections at once: a handshake of TLS takes longer than all else. */
const atOnce = 25;

let emulator: TestEmulator;
let trust: SecureContext;
/** One CONNECT for each connection at once: the same device again would close the older connection. */
let connects: Buffer[];
beforeAll(async () => {
  emulator = await startTestEmulator();
  trust = createSecureContext({ ca: readFileSync(emulator.caCertificate) });
  const { json } = await emulator.call('PUT', '/enrollmentGroups/all', { body: symmetricGroup('all') });
  const groupKey = json.attestation.symmetricKey.primaryKey;
  connects = Array.from({ length: atOnce }, (_, index) => connectOf(`dev-${index}`, groupKey));
});
afterAll(() => emulator.stop());

function connectOf(clientId: string, groupKey: string): Buffer {
  const username = `${emulator.idScope}/registrations/${clientId}/api-version=2019-03-31`;
  const password = Buffer.from(deviceToken(emulator.idScope, clientId, derivedKey(groupKey, clientId)));
  return generate({ cmd: 'connect', clientId, keepalive: 60, clean: true, username, password });
}

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const topic = fc.oneof(
  fc.constantFrom(registerTopic('1'), registerTopic('1'), pollTopic('2', '5.0.x'), responses, '', '#', '+/a'),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ maxLength: 20 }).map(registerTopic),
  fc.string({ maxLength: 20 }).map((id) => pollTopic('3', id)),
);
const payload = fc.oneof(
  fc.constantFrom('', ' ', '{}', '{"registrationId":"dev-1"}', '{"payload":[1]}', '{"tpm":{}}', '[', 'null'),
  fc.json({ maxDepth: 3 }),
  bytes(200),
);
const messageId = fc.integer({ min: 0, max: 65_535 });
const qos = fc.constantFrom(0, 1, 1, 2);

/** Packets of every kind, whoever may send them. */
const packet: fc.Arbitrary<Buffer> = fc
  .oneof(
    fc
      .record({ topic, payload, qos, messageId, dup: fc.boolean(), retain: fc.boolean() })
      .map((fields) => ({ cmd: 'publish', ...fields })),
    fc
      .record({ messageId, subscriptions: fc.array(fc.record({ topic, qos }), { maxLength: 3 }) })
      .map((fields) => ({ cmd: 'subscribe', ...fields })),
    fc
      .record({ messageId, unsubscriptions: fc.array(topic, { maxLength: 3 }) })
      .map((fields) => ({ cmd: 'unsubscribe', ...fields })),
    fc
      .record({ cmd: fc.constantFrom('puback', 'pubrec', 'pubrel', 'pubcomp'), messageId })
      .map((fields) => fields),
    fc.constantFrom({ cmd: 'pingreq' }, { cmd: 'pingresp' }, { cmd: 'disconnect' }),
    fc.constant({ cmd: 'connack', returnCode: 0, sessionPresent: false }),
    fc
      .record({
        clientId: fc.string({ maxLength: 10 }),
        username: fc.string({ maxLength: 40 }),
        protocolVersion: fc.constantFrom(3, 4, 5),
      })
      .map((fields) => ({
        cmd: 'connect',
        protocolId: fields.protocolVersion === 3 ? 'MQIsdp' : 'MQTT',
        ...fields,
      })),
  )
  .map((fields) => {
    try {
      return generate(fields as Packet);
    } catch {
      // What the generator refuses goes out with a header that is right and nothing after it.
      return Buffer.from([0x30, 0]);
    }
  });

/** Packets whole, cut short or with bytes changed, and what is no packet at all; most after a right CONNECT. */
const stream = fc.tuple(
  fc.constantFrom(true, true, true, false),
  fc.array(
    fc.oneof(
      { weight: 5, arbitrary: packet },
      {
        weight: 2,
        arbitrary: fc.tuple(packet, fc.nat(300), fc.nat(255)).map(([whole, at, byte]) => {
          const changed = Buffer.from(whole);
          changed[at % changed.length] = byte;
          return changed;
        }),
      },
      {
        weight: 1,
        arbitrary: fc.tuple(packet, fc.nat(300)).map(([whole, end]) => whole.subarray(0, end % whole.length)),
      },
      { weight: 1, arbitrary: bytes(60) },
    ),
    { maxLength: 6 },
  ),
  fc.array(fc.nat(400), { maxLength: 3 }),
);

it(`takes ${streamCount.toLocaleString('en')} arbitrary streams without an error of its own`, async () => {
  const complaints = vi.spyOn(console, 'error');
  const batch = fc.array(stream, { minLength: atOnce, maxLength: atOnce });
  await fc.assert(
    fc.asyncProperty(batch, async (streams) => {
      await Promise.all(
        streams.map(([isConnected, packets, cuts], index) =>
          converse(isConnected ? [connects[index]!, ...packets] : packets, cuts),
        ),
      );
      expect(complaints).not.toHaveBeenCalled();
    }),
    { numRuns: streamCount / atOnce, endOnFailure: true },
  );
  complaints.mockRestore();
  const { requests } = (await emulator.control('GET', 'stats')).json;
  expect(requests.RuntimeRegistration_RegisterDevice[202]).toBeGreaterThan(0);
});

/** Sends a stream in pieces and its end, and reads until the emulator closes: each packet is one of a server. */
async function converse(packets: readonly Buffer[], cuts: readonly number[]) {
  const { port } = new URL(emulator.mqttEndpoint);
  const socket = connectTls({ host: 'localhost', port: Number(port), secureContext: trust });
  const connection = new MqttConnection(socket);
  const all = Buffer.concat(packets);
  let start = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    socket.write(all.subarray(start, cut));
    start = Math.max(start, Math.min(cut, all.length));
  }
  socket.end(all.subarray(start));
  for (let answer = await connection.next(); answer !== undefined; answer = await connection.next()) {
    expect(['connack', 'publish', 'puback', 'suback', 'unsuback', 'pingresp']).toContain(answer.cmd);
    if (answer.cmd === 'publish') {
      expect(answer.topic).toMatch(/^\$dps\/registrations\/res\/[1-4]\d\d\//);
    }
  }
}
