import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readCertificateText } from '../../dps/certificate-reader.ts';
import type { DeviceProvisioningClient } from '../../dps/client.ts';
import { deriveDeviceKey } from '../../dps/device-key.ts';
import { ifFound } from '../../dps/if-found.ts';
import type { AttestationMechanism } from '../../dps/models.ts';
import { demoPrivateKey, demoSymmetricKey, issueCertificate } from '../demo/demo-authority.ts';
import type { DeviceCredential } from './device-channel.ts';
import type { Fleet, FleetDevice } from './fleet.ts';
import { simulatedTpm } from './simulated-tpm.ts';

/**
 * What simulated devices prove themselves with: symmetric keys from DPS, as the line would write them into devices; keys
 * of certificates and TPMs are those that are derived from names, which the demo's shift uses.
 */
export class FleetCredentials {
  readonly #client: DeviceProvisioningClient;
  readonly #signingCertificates: Fleet['signingCertificates'];
  readonly #groups = new Map<string, Promise<AttestationMechanism | undefined>>();

  constructor(client: DeviceProvisioningClient, { signingCertificates }: Pick<Fleet, 'signingCertificates'>) {
    this.#client = client;
    this.#signingCertificates = signingCertificates;
  }

  /** @returns undefined for a device whose private key is not one of the demo's. */
  async of(device: FleetDevice): Promise<DeviceCredential | undefined> {
    const { registrationId, batch } = device;
    const group = batch === undefined ? undefined : await this.#group(batch);
    if (batch !== undefined && group !== undefined) {
      return this.#memberCredential(registrationId, batch, group);
    }
    const { individualEnrollments } = this.#client;
    const mechanism = await ifFound(individualEnrollments.getAttestationMechanism(registrationId));
    if (mechanism?.type === 'tpm') {
      return { kind: 'tpm', tpm: simulatedTpm(registrationId) };
    }
    if (mechanism?.type === 'x509') {
      return ownCertificate(device);
    }
    // What was scrapped keeps a key that is worthless.
    const key = mechanism?.symmetricKey?.primaryKey ?? demoSymmetricKey(registrationId, 'primary');
    return { kind: 'symmetricKey', key };
  }

  #group(batch: string): Promise<AttestationMechanism | undefined> {
    const known = this.#groups.get(batch);
    if (known !== undefined) {
      return known;
    }
    const asked = ifFound(this.#client.enrollmentGroups.getAttestationMechanism(batch));
    this.#groups.set(batch, asked);
    return asked;
  }

  async #memberCredential(
    registrationId: string,
    batch: string,
    { symmetricKey }: AttestationMechanism,
  ): Promise<DeviceCredential | undefined> {
    if (symmetricKey?.primaryKey !== undefined) {
      return { kind: 'symmetricKey', key: deriveDeviceKey(symmetricKey.primaryKey, registrationId) };
    }
    const signing = this.#signingCertificates.get(batch.toLowerCase());
    if (signing === undefined) {
      return undefined;
    }
    const issuer = commonNameOf(signing);
    if (!isKeyOf(signing, demoPrivateKey(issuer))) {
      return undefined;
    }
    const { certificate, privateKey } = await issueCertificate(registrationId, { issuer });
    return { kind: 'x509', chain: certificate + signing, privateKey };
  }
}

function ownCertificate({ registrationId, certificate }: FleetDevice): DeviceCredential | undefined {
  const privateKey = demoPrivateKey(registrationId);
  if (certificate === undefined || !isKeyOf(certificate, privateKey)) {
    return undefined;
  }
  return { kind: 'x509', chain: certificate, privateKey };
}

function commonNameOf(certificate: string): string {
  const read = readCertificateText(certificate);
  return typeof read === 'string' ? '' : (read.subject.commonName ?? '');
}

function isKeyOf(certificate: string, privateKey: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKey));
  } catch {
    return false;
  }
}
