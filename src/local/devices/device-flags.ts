import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { defaultEndpointsFile } from '../stack/endpoints.ts';
import type { Attestation } from './one-device.ts';
import { type Protocol, protocols } from './provisioning.ts';

export const deviceUsage = `Usage: npm run device -- ID [options]
  --protocol mqtt|mqtt-ws|http   how it comes to DPS (default: mqtt; with --tpm: http)
  --group GROUP                  with a key that is derived from this enrollment group's
  --certificate FILE --key FILE  with a client certificate (PEM; its chain after it) and its private key
  --tpm                          with a simulated TPM, whose keys are derived from ID
  --endpoints FILE               what to register with (${defaultEndpointsFile})
Without --group, --certificate and --tpm: with the symmetric key of its enrollment in DPS.`;

export interface DeviceFlags {
  readonly registrationId: string;
  readonly attestation: Attestation;
  readonly protocol: Protocol;
  readonly endpointsFile: string;
}

/**
 * Reads the command line of `npm run device`.
 * @throws Error in one line
 */
export function readDeviceFlags(args: readonly string[]): DeviceFlags {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      protocol: { type: 'string' },
      group: { type: 'string' },
      certificate: { type: 'string' },
      key: { type: 'string' },
      tpm: { type: 'boolean', default: false },
      endpoints: { type: 'string', default: defaultEndpointsFile },
    },
  });
  const [registrationId, ...more] = positionals;
  if (registrationId === undefined || more.length > 0) {
    throw new Error('Name one device: npm run device -- ID (--help lists the options).');
  }
  const attestation = attestationFrom(values);
  return {
    registrationId,
    attestation,
    protocol: protocolFrom(values.protocol, attestation),
    endpointsFile: values.endpoints,
  };
}

interface AttestationFlags {
  readonly group?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  readonly tpm: boolean;
}

function attestationFrom({ group, certificate, key, tpm }: AttestationFlags): Attestation {
  if (Number(group !== undefined) + Number(certificate !== undefined) + Number(tpm) > 1) {
    throw new Error('Choose one of --group, --certificate and --tpm: a device has one way to prove itself.');
  }
  if ((certificate === undefined) !== (key === undefined)) {
    throw new Error('--certificate and --key belong together: name both files.');
  }
  if (certificate !== undefined && key !== undefined) {
    return { kind: 'x509', chain: readPem('--certificate', certificate), privateKey: readPem('--key', key) };
  }
  if (tpm) {
    return { kind: 'tpm' };
  }
  return group === undefined ? { kind: 'enrolledKey' } : { kind: 'groupKey', group };
}

function readPem(flag: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`${flag}: ${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
  }
}

function protocolFrom(text: string | undefined, { kind }: Attestation): Protocol {
  const isTpm = kind === 'tpm';
  if (text === undefined) {
    return isTpm ? 'http' : 'mqtt';
  }
  const protocol = protocols.find((each) => each === text);
  if (protocol === undefined) {
    throw new Error(`--protocol must be one of ${protocols.join(', ')}, not '${text}'.`);
  }
  if (isTpm && protocol !== 'http') {
    throw new Error('DPS does not offer TPM attestation over MQTT: leave --protocol away, or say http.');
  }
  return protocol;
}
