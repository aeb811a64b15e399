import * as z from 'zod';

import { isJsonObject, type JsonObject } from './json.ts';

/** What is not there is missing; what is there and is not as it should be must be so. */
function must(be: string) {
  return {
    error: ({ input }: { readonly input?: unknown }) =>
      input === undefined ? 'is missing' : `must be ${be}`,
  };
}

/** zod rebuilds objects and loses `__proto__` members; twin content passes through as it came. */
export const opaqueObject = z
  .custom<JsonObject>(isJsonObject, must('a JSON object'))
  .meta({ type: 'object' });

const maxTextLength = 1_024;
const maxLabels = 16;
const maxLabelLength = 256;

const text = z
  .string(must('a text'))
  .min(1, { error: 'must not be empty' })
  .max(maxTextLength, { error: `must have ${maxTextLength} characters at most` });
const base64 = z.string(must('a base64 text')).refine(isBase64, { error: 'must be base64' });
const certificate = z
  .string(must('a certificate as PEM or base64 DER'))
  .min(1, { error: 'must be a certificate as PEM or base64 DER' });

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

/** For people, search and reports; never sent to DPS. */
export const labelsSchema = z
  .custom<Readonly<Record<string, string>>>(isJsonObject, must('a JSON object of texts'))
  .superRefine((labels, context) => {
    const complain = (message: string, path: string[] = []) =>
      context.addIssue({ code: 'custom', path, message });
    const entries = Object.entries(labels);
    if (entries.length > maxLabels) {
      complain(`must have ${maxLabels} labels at most`);
    }
    for (const [name, value] of entries.slice(0, maxLabels)) {
      if (name === '' || name.length > maxLabelLength) {
        complain(`must have names of 1 to ${maxLabelLength} characters`);
      } else if (typeof value !== 'string' || value.length > maxLabelLength) {
        complain(`must be a text of ${maxLabelLength} characters at most`, [name]);
      }
    }
  })
  .meta({
    type: 'object',
    maxProperties: maxLabels,
    additionalProperties: { type: 'string', maxLength: maxLabelLength },
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
    labels: labelsSchema.nullish(),
    remanufactured: z.boolean(must('true or false')).nullish(),
  },
  must('a JSON object'),
);

/** `data` of the other types: nothing is required. */
export const statusEventSchema = z
  .object({ attestation: attestationSchema.nullish(), reason: text.nullish() }, must('a JSON object'))
  .nullish();

/** The names that `data` and its attestation may have, for the warning about others. */
export const knownMembers = {
  definition: Object.keys(definitionSchema.shape),
  notice: Object.keys(statusEventSchema.unwrap().unwrap().shape),
  attestation: [...new Set([symmetricKey, tpm, x509].flatMap(({ shape }) => Object.keys(shape)))],
} as const;

/** Padded, of at least one byte. Linear in the text's length, unlike a pattern that repeats groups. */
function isBase64(value: string): boolean {
  return value !== '' && Buffer.from(value, 'base64').toString('base64') === value;
}
