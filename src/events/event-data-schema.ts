import * as z from 'zod';

import { isJsonObject, type JsonObject } from './json.ts';

/** zod rebuilds objects and loses `__proto__` members; twin content passes through as it came. */
export const opaqueObject = z
  .custom<JsonObject>(isJsonObject, { error: 'must be a JSON object' })
  .meta({ type: 'object' });

const base64 = z
  .string({ error: 'must be a base64 text' })
  .regex(
    /^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$|^(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)$/,
    {
      error: 'must be base64',
    },
  );

const certificate = z
  .string({ error: 'must be a certificate as PEM or base64 DER' })
  .min(1, { error: 'must be a certificate as PEM or base64 DER' });
const text = z.string({ error: 'must be a text' }).min(1, { error: 'must not be empty' });

const symmetricKey = z.object({
  type: z.literal('symmetricKey'),
  primaryKey: base64.nullish(),
  secondaryKey: base64.nullish(),
});
const tpm = z.object({
  type: z.literal('tpm'),
  endorsementKey: base64,
  storageRootKey: base64.nullish(),
});
const x509 = z.object({
  type: z.literal('x509'),
  certificate: certificate.nullish(),
  secondaryCertificate: certificate.nullish(),
  signingCertificate: certificate.nullish(),
  secondarySigningCertificate: certificate.nullish(),
  caReference: text.nullish(),
  secondaryCaReference: text.nullish(),
});

export const attestationSchema = z.discriminatedUnion('type', [symmetricKey, tpm, x509], {
  error: 'must be an object whose type is symmetricKey, tpm or x509',
});

/** `data` of device.manufactured, device.changed and batch.started. */
export const definitionSchema = z.object(
  {
    product: text,
    batch: text.nullish(),
    deviceId: text.nullish(),
    attestation: attestationSchema.nullish(),
    tags: opaqueObject.nullish(),
    desired: opaqueObject.nullish(),
    deviceInformation: opaqueObject.nullish(),
    remanufactured: z.boolean({ error: 'must be true or false' }).nullish(),
  },
  { error: 'must be a JSON object' },
);

/** `data` of the other types: nothing is required. */
export const noticeSchema = z
  .object({ attestation: attestationSchema.nullish() }, { error: 'must be a JSON object' })
  .nullish();
