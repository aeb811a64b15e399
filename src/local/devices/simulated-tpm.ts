import { checkPrimeSync, createHash, createPrivateKey, type KeyObject } from 'node:crypto';
import { createSoftwareTpm, type SoftwareTpm } from './software-tpm.ts';

const primeBits = 1_024;
const publicExponent = 65_537n;

const made = new Map<string, SoftwareTpm>();

/**
 * The TPM of a simulated device. Its keys are derived from the device's name, so that an endorsement key can be enrolled
 * before the device is switched on, while no private key lies anywhere. They protect nothing: never do this for a device.
 */
export function simulatedTpm(name: string): SoftwareTpm {
  const known = made.get(name);
  if (known !== undefined) {
    return known;
  }
  const tpm = createSoftwareTpm(derivedRsaKey(`${name} endorsement`), derivedRsaKey(`${name} storage root`));
  made.set(name, tpm);
  return tpm;
}

/** RSA-2048, the same for the same seed everywhere. */
function derivedRsaKey(seed: string): KeyObject {
  const [p, q] = [derivedPrime(`${seed} p`), derivedPrime(`${seed} q`)];
  const d = inverse(publicExponent, (p - 1n) * (q - 1n));
  const numbers = {
    n: p * q,
    e: publicExponent,
    d,
    p,
    q,
    dp: d % (p - 1n),
    dq: d % (q - 1n),
    qi: inverse(q, p),
  };
  const members = Object.entries(numbers).map(([name, value]) => [name, base64Url(value)]);
  return createPrivateKey({ key: { kty: 'RSA', ...Object.fromEntries(members) }, format: 'jwk' });
}

/** The first prime from a number on that the seed decides; its two highest bits are set, so that n has 2048. */
function derivedPrime(seed: string): bigint {
  const blocks = [0, 1].map((block) => createHash('sha512').update(`${seed} ${block}`).digest('hex'));
  let candidate = BigInt(`0x${blocks.join('')}`) | (3n << BigInt(primeBits - 2)) | 1n;
  while (candidate % publicExponent === 1n || !checkPrimeSync(candidate)) {
    candidate += 2n;
  }
  return candidate;
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [previous, current] = [modulus, value % modulus];
  let [previousFactor, factor] = [0n, 1n];
  while (current !== 0n) {
    const quotient = previous / current;
    [previous, current] = [current, previous - quotient * current];
    [previousFactor, factor] = [factor, previousFactor - quotient * factor];
  }
  return previousFactor < 0n ? previousFactor + modulus : previousFactor;
}

function base64Url(value: bigint): string {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').toString('base64url');
}
