import * as z from 'zod';
import { decodeBase64 } from './attestation.ts';
import { maxAllocationWeight, maxLinkedHubs } from './limits.ts';

/** Bodies of the control plane. Members that are not known are refused: a misspelt fault would never fire. */

const perMinute = z.number().int().min(0).max(10_000_000).nullish();
const key = z.string().refine((text) => text !== '' && decodeBase64(text) !== undefined, 'must be base64');

export const quotaBody = z.strictObject({
  operationsPerMinute: perMinute,
  registrationsPerMinute: perMinute,
  hubOperationsPerMinute: perMinute,
});

export const faultsBody = z
  .array(
    z.strictObject({
      operation: z.string().min(1).max(100),
      status: z.number().int().min(200).max(599).optional(),
      errorCode: z.number().int().optional(),
      retryAfter: z
        .string()
        .regex(/^[\x20-\x7e]*$/)
        .optional(),
      latencyMs: z.number().min(0).max(600_000).optional(),
      reset: z.enum(['before', 'after']).optional(),
      body: z.enum(['garbage', 'truncated']).optional(),
      rate: z.number().min(0).max(1).optional(),
      count: z.number().int().min(0).optional(),
      seed: z.number().int().optional(),
    }),
  )
  .max(1_000);

export const hubsBody = z
  .array(
    z.strictObject({
      hostName: z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/),
      allocationWeight: z.number().int().min(1).max(maxAllocationWeight).default(1),
      applyAllocationPolicy: z.boolean().default(true),
      latencyMs: z.number().min(0).default(0),
    }),
  )
  .max(maxLinkedHubs);

const right = z.enum([
  'ServiceConfig',
  'EnrollmentRead',
  'EnrollmentWrite',
  'RegistrationStatusRead',
  'RegistrationStatusWrite',
  'DeviceConnect',
]);

export const policiesBody = z
  .array(
    z.strictObject({
      keyName: z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/),
      primaryKey: key,
      secondaryKey: key,
      rights: z.array(right),
    }),
  )
  .max(100);

export const seedBody = z.strictObject({
  groups: z.number().int().min(0).max(100).default(0),
  registrationsPerGroup: z.number().int().min(0).max(1_000_000).default(0),
  individualEnrollments: z.number().int().min(0).max(1_000_000).default(0),
});

export type SeedBody = z.infer<typeof seedBody>;
