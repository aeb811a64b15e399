import { readCertificateText } from '../../dps/certificate-reader.ts';
import { readTpmPublic } from '../../dps/tpm-public.ts';
import { parseJson } from '../../events/decode-json.ts';
import { sha256 } from '../../events/event-identity.ts';
import { isJsonObject, type JsonObject } from '../../events/json.ts';
import { decodeData } from '../../events/read-data.ts';
import { isTimeLike } from '../../events/read-envelope.ts';
import { mayHoldSecret } from '../../events/secret-texts.ts';

/** What may be kept of the body of a rejected event, and why it cannot be replayed, where it cannot. */
export interface KeptBody {
  /** JSON text: the event, without its keys, or no more than length and hash. */
  readonly body: string;
  readonly why?: string;
}

const keysRemoved = 'its keys were removed';
const notJson = 'its body is no JSON, of which only length and hash are kept';
const notSure = 'its body may hold a secret, so only length and hash are kept';
const tooLarge = 'its body is too large to be kept';
const longestKeptBody = 220_000;

/**
 * A body is kept only where it is sure that no secret is left in it. Symmetric keys in their place are taken out; every
 * other text is looked at for what it is, wherever it stands: a certificate that reads as one and nothing else, a TPM's
 * public key, or a text that cannot be a key.
 */
export function keptBody(text: string): KeptBody {
  const event = decoded(text);
  if (event === undefined) {
    return onlyHash(text, notJson);
  }
  const look = new SecretSearch();
  const clean = look.clean(event);
  if (!look.isSure) {
    return onlyHash(text, notSure);
  }
  // What was not changed stays as it came: numbers, for one, would be written otherwise.
  const body = look.hasRemoved ? JSON.stringify(clean) : text;
  if (body.length > longestKeptBody) {
    return onlyHash(text, tooLarge);
  }
  return look.hasRemoved ? { body, why: keysRemoved } : { body };
}

/** Of bytes that are no text. */
export function keptBytes(bytes: Uint8Array): KeptBody {
  return { body: JSON.stringify({ length: bytes.length, sha256: sha256(bytes) }), why: notJson };
}

function onlyHash(text: string, why: string): KeptBody {
  return { body: JSON.stringify({ length: Buffer.byteLength(text), sha256: sha256(text) }), why };
}

function decoded(text: string): unknown {
  const outer = parseJson(text);
  const parsed = !outer.problem && typeof outer.value === 'string' ? parseJson(outer.value) : outer;
  return parsed.problem ? undefined : parsed.value;
}

/** Attributes that are kept with the rejection, whatever becomes of the body. */
const told: ReadonlySet<string> = new Set(['id', 'source', 'subject', 'type']);
const secretName = /key|secret|passw|pwd|token|credential|signature|^(?:sas|psk|pin)$/i;
const certificateNames: ReadonlySet<string> = new Set([
  'certificate',
  'secondaryCertificate',
  'signingCertificate',
  'secondarySigningCertificate',
]);
const tpmNames: ReadonlySet<string> = new Set(['endorsementKey', 'storageRootKey']);
/** As many numbers in a row, each a byte, may be the bytes of a key. */
const keyBytes = 16;

class SecretSearch {
  isSure = true;
  hasRemoved = false;

  clean(event: unknown): unknown {
    if (!isJsonObject(event)) {
      this.#search('', event);
      return event;
    }
    const clean = new Map<string, unknown>();
    for (const [name, value] of Object.entries(event)) {
      if ((told.has(name) && typeof value === 'string') || (name === 'time' && isTimeLike(value))) {
        clean.set(name, value);
      } else if (name === 'data') {
        clean.set(name, this.#cleanData(value));
      } else if (name === 'data_base64' && value !== null) {
        clean.set('data', this.#cleanEncoded(event));
      } else {
        this.#search(name, value);
        clean.set(name, value);
      }
    }
    return Object.fromEntries(clean);
  }

  #cleanEncoded(event: JsonObject): unknown {
    const { value, problem } = decodeData(event);
    this.isSure &&= !problem;
    return this.#cleanData(value);
  }

  #cleanData(data: unknown): unknown {
    if (!isJsonObject(data)) {
      this.#search('data', data);
      return data;
    }
    const clean = new Map<string, unknown>();
    for (const [name, value] of Object.entries(data)) {
      if (name === 'attestation' && isJsonObject(value)) {
        clean.set(name, this.#cleanAttestation(value));
      } else {
        this.#search(name, value);
        clean.set(name, value);
      }
    }
    return Object.fromEntries(clean);
  }

  #cleanAttestation(attestation: JsonObject): JsonObject {
    const clean = new Map<string, unknown>();
    for (const [name, value] of Object.entries(attestation)) {
      const isKey = name === 'primaryKey' || name === 'secondaryKey';
      if (isKey && typeof value === 'string') {
        this.hasRemoved = true;
        continue;
      }
      if (certificateNames.has(name) && typeof value === 'string') {
        this.isSure &&= isCertificateAlone(value);
      } else if (tpmNames.has(name) && typeof value === 'string') {
        this.isSure &&= readTpmPublic(value) !== undefined;
      } else {
        this.#search(name, value);
      }
      clean.set(name, value);
    }
    return Object.fromEntries(clean);
  }

  /** `name`: what the value is called, or belongs to. */
  #search(name: string, value: unknown): void {
    if (mayHoldSecret(name)) {
      this.isSure = false;
    }
    if (typeof value === 'string' || typeof value === 'number') {
      const text = String(value);
      this.isSure &&= text === '' || !(secretName.test(name) || mayHoldSecret(text));
    } else if (Array.isArray(value)) {
      this.isSure &&= !areBytes(value);
      for (const each of value) {
        this.#search(name, each);
      }
    } else if (isJsonObject(value)) {
      for (const [inner, member] of Object.entries(value)) {
        // What lies within something of a telling name goes by that name.
        this.#search(secretName.test(name) ? `${name} ${inner}` : inner, member);
      }
    }
  }
}

function areBytes(values: readonly unknown[]): boolean {
  return (
    values.length >= keyBytes &&
    values.every((each) => Number.isInteger(each) && Math.abs(Number(each)) <= 255)
  );
}

/** PEM or base64 of one certificate, and nothing around it. */
function isCertificateAlone(text: string): boolean {
  const certificate = readCertificateText(text);
  if (typeof certificate === 'string') {
    return false;
  }
  const base64 = text
    .replace('-----BEGIN CERTIFICATE-----', '')
    .replace('-----END CERTIFICATE-----', '')
    .replace(/[\s=]/g, '');
  return base64 === Buffer.from(certificate.der).toString('base64').replaceAll('=', '');
}
