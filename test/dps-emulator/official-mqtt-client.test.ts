import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { connect as connectTls } from 'node:tls';
import { MqttBase } from 'azure-iot-mqtt-base';
import { ProvisioningDeviceClient } from 'azure-iot-provisioning-device';
import { Mqtt, MqttWs } from 'azure-iot-provisioning-device-mqtt';
import { SymmetricKeySecurityClient } from 'azure-iot-security-symmetric-key';
import { X509Security } from 'azure-iot-security-x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Identity, makeCertificate } from './certificates.ts';
import { derivedKey, startTestEmulator, symmetric, symmetricGroup, type TestEmulator } from './harness.ts';

let emulator: TestEmulator;
let ca: string;
beforeAll(async () => {
  emulator = await startTestEmulator();
  ca = readFileSync(emulator.caCertificate, 'utf8');
});
afterAll(() => emulator.stop());

type Transport = 'TCP' | 'WebSockets';
type Security = SymmetricKeySecurityClient | X509Security;

/** Exactly as the emulator's README has it. */
function clientOf(transport: Transport, security: Security, idScope = emulator.idScope) {
  const base = new MqttBase();
  if (transport === 'TCP') {
    base.setOptions({ ca });
    const { host } = new URL(emulator.mqttEndpoint);
    return ProvisioningDeviceClient.create(host, idScope, new Mqtt(base), security);
  }
  const port = Number(new URL(emulator.mqttWebSocketEndpoint).port);
  const webSocketAgent = new Agent();
  Object.assign(webSocketAgent, {
    createConnection: (options: object) =>
      connectTls({ ...options, host: 'localhost', port, servername: 'localhost' }),
  });
  base.setOptions({ ca, mqtt: { webSocketAgent } });
  return ProvisioningDeviceClient.create('localhost', idScope, new MqttWs(base), security);
}

function x509(registrationId: string, identity: Identity, chain: Identity[] = []): X509Security {
  return new X509Security(registrationId, {
    cert: [identity, ...chain].map(({ pem }) => pem).join('\n'),
    key: identity.keyPem,
  });
}

async function keyOf(path: string, body: object): Promise<string> {
  const { json } = await emulator.call('PUT', path, { body });
  return json.attestation.symmetricKey.primaryKey;
}

describe.concurrent.each(['TCP', 'WebSockets'] as const)(
  'azure-iot-provisioning-device-mqtt over %s',
  (transport) => {
    const own = (name: string) => `${name}-${transport.toLowerCase()}`;

    it('registers with a symmetric key', async () => {
      const id = own('own-key');
      const key = await keyOf(`/enrollments/${id}`, symmetric(id, { deviceId: own('device') }));
      const client = clientOf(transport, new SymmetricKeySecurityClient(id, key));
      await expect(client.register()).resolves.toMatchObject({
        status: 'assigned',
        deviceId: own('device'),
        assignedHub: 'hub.azure-devices.net',
        substatus: 'initialAssignment',
      });
    });

    it('registers with a key derived from a group', async () => {
      const groupKey = await keyOf(`/enrollmentGroups/${own('keys')}`, symmetricGroup(own('keys')));
      const id = own('group-key');
      const key = derivedKey(groupKey, id).toString('base64');
      const client = clientOf(transport, new SymmetricKeySecurityClient(id, key));
      await expect(client.register()).resolves.toMatchObject({ status: 'assigned', deviceId: id });
    });

    it('registers with a certificate of its own', async () => {
      const id = own('own-certificate');
      const identity = await makeCertificate(`CN=${id}`);
      const clientCertificates = { primary: { certificate: identity.pem } };
      const attestation = { type: 'x509', x509: { clientCertificates } };
      await emulator.call('PUT', `/enrollments/${id}`, { body: { registrationId: id, attestation } });
      await expect(clientOf(transport, x509(id, identity)).register()).resolves.toMatchObject({
        status: 'assigned',
        deviceId: id,
      });
    });

    it('registers with a chain that leads to a group', async () => {
      const root = await makeCertificate(`CN=${own('root')}`, { isAuthority: true });
      const line = await makeCertificate(`CN=${own('line')}`, { issuer: root, isAuthority: true });
      const identity = await makeCertificate(`CN=${own('chain')}`, { issuer: line });
      const signingCertificates = { primary: { certificate: root.pem } };
      const attestation = { type: 'x509', x509: { signingCertificates } };
      const enrollmentGroupId = own('chains');
      await emulator.call('PUT', `/enrollmentGroups/${enrollmentGroupId}`, {
        body: { enrollmentGroupId, attestation },
      });
      await expect(
        clientOf(transport, x509(own('chain'), identity, [line])).register(),
      ).resolves.toMatchObject({
        status: 'assigned',
        deviceId: own('chain'),
      });
    });

    it('sees that its key is wrong, and that the id scope is unknown', async () => {
      const id = own('wrong-key');
      const key = await keyOf(`/enrollments/${id}`, symmetric(id));
      const wrong = new SymmetricKeySecurityClient(id, Buffer.alloc(32).toString('base64'));
      await expect(clientOf(transport, wrong).register()).rejects.toMatchObject({
        name: 'UnauthorizedError',
        result: { errorCode: 401000 },
      });
      const elsewhere = clientOf(transport, new SymmetricKeySecurityClient(id, key), '0ne00FFFFFF');
      await expect(elsewhere.register()).rejects.toThrow('Connection refused: Server unavailable');
    });
  },
);
