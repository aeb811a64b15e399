import { randomBytes } from 'node:crypto';
import { keyOf } from './enrollment-kinds.ts';
import { ServiceError } from './errors.ts';
import { invalid, type JsonObject, optionalObject, requiredString } from './json-input.ts';
import { maxRememberedOperations } from './limits.ts';
import type { EmulatorState } from './state.ts';
import { parseTpmPublic, seal, type TpmPublic } from './tpm-seal.ts';

const keyBytes = 32;

interface Challenge {
  readonly key: Buffer;
  readonly endorsement: TpmPublic;
  readonly storageRoot: TpmPublic;
}

/** The first step of TPM attestation: keys that were sealed for devices, which sign their tokens with them. */
export class TpmChallenges {
  readonly #state: EmulatorState;
  readonly #challenges = new Map<string, Challenge>();

  constructor(state: EmulatorState) {
    this.#state = state;
  }

  forgetAll(): void {
    this.#challenges.clear();
  }

  keysOf(registrationKey: string): readonly Buffer[] {
    const challenge = this.#challenges.get(registrationKey);
    return challenge === undefined ? [] : [challenge.key];
  }

  /**
   * Challenges a device. A new challenge voids the one before.
   * @returns the body of the 401.
   * @throws ServiceError 404201 for an unknown registration id, 401 for another endorsement key, 400 for keys of a kind
   * that this emulator cannot seal for.
   */
  challenge(registrationId: string, body: JsonObject): JsonObject {
    const tpm = optionalObject(body, 'tpm') ?? {};
    const endorsementKey = requiredString(tpm, 'endorsementKey');
    const enrollment = this.#state.individual.get(keyOf(registrationId));
    if (enrollment === undefined) {
      throw new ServiceError('enrollmentNotFound');
    }
    const { attestation } = enrollment;
    if (attestation.type !== 'tpm' || attestation.endorsementKey !== endorsementKey) {
      throw new ServiceError('unauthorizedDevice');
    }
    const endorsement = readPublic('endorsementKey', endorsementKey);
    const storageRoot = readPublic('storageRootKey', requiredString(tpm, 'storageRootKey'));
    const challenge = { key: randomBytes(keyBytes), endorsement, storageRoot };
    const authenticationKey = sealFor(challenge, challenge.key);
    if (this.#challenges.size >= maxRememberedOperations) {
      this.#challenges.clear();
    }
    this.#challenges.set(enrollment.key, challenge);
    return {
      message: 'Authorization required, resend request using supplied key',
      authenticationKey,
      keyName: 'registration',
    };
  }

  /** Seals a fresh key for a device that answered its challenge: the one for its IoT hub. */
  sealAnother(registrationKey: string): string | undefined {
    const challenge = this.#challenges.get(registrationKey);
    return challenge && sealFor(challenge, randomBytes(keyBytes));
  }
}

function sealFor({ endorsement, storageRoot }: Challenge, key: Buffer): string {
  const random = {
    innerKey: randomBytes(16),
    seed: randomBytes(32),
    seedValue: randomBytes(32),
    outerSeed: randomBytes(32),
  };
  try {
    return seal(endorsement, storageRoot, key, random).toString('base64');
  } catch {
    throw invalid('tpm', 'has keys that nothing can be encrypted with');
  }
}

function readPublic(member: string, base64: string): TpmPublic {
  const parsed = parseTpmPublic(base64);
  if (parsed === undefined) {
    throw invalid(member, 'must be the public area of an RSA-2048 key with SHA-256 (TPM2B_PUBLIC)');
  }
  return parsed;
}
