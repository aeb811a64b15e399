import * as z from 'zod';
import { findingCodes, severities } from '../audit/finding.ts';
import type { EventStatus } from '../enrollment/ledger/subject-state.ts';
import { attestationSchema, definitionSchema, statusEventSchema } from '../events/event-data-schema.ts';
import { eventKinds, isDefinitionKind } from '../events/manufacturing-event.ts';
import { dpsIdPattern, dpsIdRule } from '../events/read-event.ts';
import { rejectionReasons } from '../events/rejection.ts';
import { registrationStates } from '../fleet/fleet-entry.ts';
import { adoptionRequestSchema } from './adoption-resource.ts';
import { replaySchema } from './rejected-resource.ts';

/** Everything that has a name in the document. */
export const named = z.registry<{ id: string }>();

const instant = z.iso.datetime({ offset: true });
const key = z.string().describe('The event key: 32 hex digits.');
const continuation = z
  .string()
  .optional()
  .describe('While there is more: hand it back as ?continuation=. Absent on the last page.');
const json = z.looseObject({});
const count = z.int().min(0);

function name<T extends z.ZodType>(id: string, schema: T, description?: string): T {
  named.add(schema, { id });
  if (description !== undefined) {
    z.globalRegistry.add(schema, { description });
  }
  return schema;
}

name('Attestation', attestationSchema);
name('Definition', definitionSchema, '`data` of device.manufactured, device.changed and batch.started.');
name('Notice', statusEventSchema, '`data` of all other types. Nothing is required.');

function eventOf(kinds: readonly string[], data: Readonly<Record<string, z.ZodType>>) {
  const meaning = kinds.map((kind) => kind.replace('.', String.raw`\.`)).join('|');
  return z.looseObject({
    specversion: z.literal('1.0'),
    id: z.string().min(1),
    source: z.string().min(1),
    type: z
      .string()
      .regex(new RegExp(String.raw`^(?:.*\.)?(?:${meaning})$`))
      .describe('Its last two segments decide.'),
    subject: z
      .string()
      .regex(dpsIdPattern)
      .describe(`The registration id, or the batch id. It has ${dpsIdRule}.`),
    time: instant.describe('Not more than 5 minutes ahead.'),
    datacontenttype: z.string().optional().describe('Absent, or application/json.'),
    ...data,
  });
}

const definitionEvent = name(
  'DefinitionEvent',
  eventOf(eventKinds.filter(isDefinitionKind), { data: definitionSchema }),
);
const noticeEvent = name(
  'NoticeEvent',
  eventOf(
    eventKinds.filter((kind) => !isDefinitionKind(kind)),
    { data: statusEventSchema },
  ),
);
const cloudEvent = name(
  'ManufacturingEvent',
  z.union([definitionEvent, noticeEvent]),
  'A CloudEvent 1.0 of 192 KiB at most. Id, source and subject are its identity.',
);
name('ManufacturingEvents', z.array(cloudEvent).min(1).max(1_000));

const statuses = [
  'accepted',
  'processing',
  'retrying',
  'succeeded',
  'superseded',
  'rejected',
] as const satisfies readonly EventStatus[];

export const eventStatus = name(
  'EventStatus',
  z.object({
    key,
    source: z.string(),
    id: z.string(),
    type: z.string(),
    subject: z.string(),
    time: z.string().optional(),
    status: z.enum(statuses),
    receivedAt: instant,
    finishedAt: instant.optional(),
    attempts: count,
    nextAttemptAt: instant.optional(),
    reason: z.enum(rejectionReasons).optional(),
    detail: z.string().optional(),
    pointer: z.string().optional().describe('JSON pointer to the member at fault; "" is the whole body.'),
    warnings: z.array(z.literal('certificate-expires-soon')),
    trackingId: z.string().optional().describe("DPS's, where DPS had a say."),
  }),
);
export const eventList = name('EventList', z.object({ events: z.array(eventStatus), continuation }));

export const acceptedEvents = name(
  'AcceptedEvents',
  z.object({
    accepted: z.array(
      z.object({
        index: count,
        source: z.string(),
        id: z.string(),
        key,
        status: z.url().describe('The status resource.'),
      }),
    ),
  }),
);

const provisioningStatus = z.enum(['enabled', 'disabled']);
function shouldBe(lives: readonly string[]) {
  return z
    .object({
      product: z.string().optional(),
      batch: z.string().optional(),
      enrollment: z.enum(['individual', 'group']).optional(),
      enrollmentGroupId: z.string().optional(),
      provisioningStatus: provisioningStatus.optional(),
      life: z.enum(lives),
      hubAccess: z
        .enum(['open', 'closed', 'pending'])
        .optional()
        .describe(
          'With HUB_ACCESS=close, of what was ever closed: what its hubs, or those of its devices, say.',
        ),
      inSync: z.boolean().describe('Whether DPS was brought to agree.'),
      lastEvent: key.optional(),
    })
    .nullable()
    .describe('What the events say; null if none spoke of it.');
}
const newest = z.array(eventStatus).describe('The newest 20.');

export const device = name(
  'Device',
  z.object({
    registrationId: z.string(),
    shouldBe: shouldBe(['expected', 'manufactured', 'scrapped']),
    is: json
      .nullable()
      .describe('The individual enrollment as DPS answers it, without keys; null if there is none.'),
    did: json.nullable().describe("DPS's registration state; null if it never registered."),
    events: newest,
  }),
);
const thumbprints = z
  .object({ sha1Thumbprint: z.string(), sha256Thumbprint: z.string() })
  .describe('Upper-case hex.');
const base64Key = z.string().describe('Base64.');
export const deviceCredentials = name(
  'DeviceCredentials',
  z.object({
    registrationId: z
      .string()
      .describe('As the device must send it: a key that is derived is good for this spelling alone.'),
    deviceId: z.string(),
    idScope: z.string(),
    globalEndpoint: z.string().describe('The host that the device connects to.'),
    attestation: z.enum(['symmetricKey', 'x509', 'tpm']),
    symmetricKey: z.object({ primaryKey: base64Key, secondaryKey: base64Key }).optional(),
    x509: z.object({ primary: thumbprints.optional(), secondary: thumbprints.optional() }).optional(),
    tpm: z.object({ endorsementKey: base64Key }).optional(),
  }),
);

export const batch = name(
  'Batch',
  z.object({
    batchId: z.string(),
    shouldBe: shouldBe(['expected', 'started', 'recalled', 'retired']),
    is: json
      .nullable()
      .describe('The enrollment group as DPS answers it, without keys; null if there is none.'),
    events: newest,
  }),
);

const counts = z.record(z.string(), count);
const findingCounts = z
  .object({
    open: count,
    critical: count,
    warning: count,
    info: count,
    byCode: counts,
    summedUp: z
      .record(z.string(), z.object({ severity: z.enum(severities), count, example: z.string() }))
      .optional()
      .describe('By code: more than 1,000, which are one row of the findings.'),
  })
  .describe('Open findings when it ended.');
const since = z.object({ id: z.string(), finishedAt: instant });
const changeCounts = {
  new: count.describe('Those that came back included.'),
  cameBack: count,
  resolved: count,
  stillOpen: count,
  byCode: z.record(
    z.string(),
    z.object({ before: count, now: count, new: count, cameBack: count, resolved: count }),
  ),
};
const runSummary = z.object({
  id: z.string(),
  status: z.enum(['running', 'finished', 'failed']),
  startedAt: instant,
  finishedAt: instant.optional(),
  operations: count.describe('DPS operations spent.'),
  scanned: z.object({
    enrollmentGroups: count,
    groupRegistrations: count,
    individualEnrollments: count,
    individualStates: count,
  }),
  states: z.object({
    assigned: count,
    assigning: count,
    failed: count,
    disabled: count,
    unassigned: count,
  }),
  oldestState: instant
    .optional()
    .describe('So old is the oldest registration state of an individual enrollment that the report goes by.'),
  counts: findingCounts.optional(),
  detail: z.string().optional().describe('Why it failed.'),
  changed: z
    .object({ since, ...changeCounts })
    .optional()
    .describe('Against the run that is nearest to a week before.'),
});
const finding = name(
  'Finding',
  z.object({
    severity: z.enum(severities),
    code: z.enum(findingCodes),
    subject: z
      .string()
      .describe('A registration id or batch id; else what it concerns: a thumbprint, a limit.'),
    detail: z.string().describe('What happened, what it means, what to do next.'),
    firstSeen: instant,
    lastSeen: instant,
    count: count.optional().describe('Where the row stands for more than 1,000 findings of its code.'),
    example: z.string().optional().describe('The subject of one of them.'),
    list: z.string().optional().describe('Where they are listed: a path.'),
  }),
);
const tally = z.object({ devices: count, byState: counts, byFinding: counts });
const tallies = z.record(z.string(), tally);
const summary = name(
  'FleetSummary',
  z.object({
    devices: count.describe('Manufactured, and not scrapped.'),
    scrapped: count,
    byState: counts.describe(
      'assigned, assigning, waiting (not switched on yet), overdue (never registered), failed, disabled (in DPS), held (by an event), unassigned.',
    ),
    byFinding: counts,
    byProduct: tallies,
    byBatch: tallies,
    byEnrollmentGroup: tallies,
    byHub: tallies,
    byLabel: z.record(z.string(), tallies),
    timeToFirstRegistration: z.array(
      z.object({ withinDays: count.nullable(), devices: count, ofLast30Days: count }),
    ),
    unlisted: counts.describe('Of what there was no room for: how many devices.'),
  }),
);
const changedFinding = finding.extend({
  resolvedAt: instant.optional(),
  cameBackFrom: instant.optional().describe('It had been resolved then.'),
  earlierFirstSeen: instant.optional(),
});
const changes = name(
  'FindingChanges',
  z.object({
    since,
    new: z.array(changedFinding),
    cameBack: z.array(changedFinding),
    resolved: z.array(changedFinding),
    stillOpen: z.array(changedFinding),
    counts: z.object(changeCounts),
  }),
);
export const auditRun = name(
  'AuditRun',
  runSummary.extend({
    findings: z.array(finding),
    summary: summary.optional(),
    changes: changes.optional(),
    trend: z.array(runSummary).optional().describe('The last 30 finished runs, the oldest first.'),
  }),
);

const listed = {
  product: z.string().optional(),
  batch: z.string().optional(),
  labels: z.record(z.string(), z.string()),
  held: z.boolean().describe('By an event, or by its profile.'),
  heldReason: z.string().optional(),
  pending: z.boolean().describe('What the events say has not reached DPS yet.'),
  findings: z.array(z.string()).describe('Codes; of the newest audit.'),
};
export const deviceList = name(
  'DeviceList',
  z.object({
    devices: z.array(
      z.object({
        registrationId: z.string(),
        deviceId: z.string().optional(),
        ...listed,
        life: z.enum(['unknown', 'expected', 'manufactured', 'scrapped']),
        state: z.enum(registrationStates).optional().describe('Of registration, as the newest audit saw it.'),
        waiting: z.boolean().describe('Never registered, and its time is not over: not switched on yet.'),
        enrollmentGroupId: z.string().optional(),
        hub: z.string().optional(),
        manufacturedAt: instant.optional(),
        registeredAt: instant.optional(),
      }),
    ),
    continuation,
  }),
);
export const batchList = name(
  'BatchList',
  z.object({
    batches: z.array(
      z.object({
        batchId: z.string(),
        ...listed,
        life: z.enum(['expected', 'started', 'recalled', 'retired']),
        startedAt: instant.optional(),
        counts: z
          .object({
            devices: count,
            assigned: count,
            waiting: count,
            failed: count,
            held: count,
            findings: count,
          })
          .optional(),
      }),
    ),
    continuation,
  }),
);

const unavailable = z.object({ unavailable: z.string() });
export const status = name(
  'Status',
  z.object({
    at: instant,
    waiting: z.union([
      z.object({ events: count, scheduled: count, isMore: z.boolean(), oldest: instant.optional() }),
      unavailable,
    ]),
    circuitBreaker: z.union([
      z.object({ isOpen: z.boolean(), since: instant.optional(), cause: z.string().optional() }),
      unavailable,
    ]),
    quota: z.union([
      z.object({ perMinute: count, used: count, closedUntil: instant.optional() }),
      unavailable,
    ]),
    lastAudit: runSummary.nullable(),
    runningAudit: runSummary.optional(),
    rejectedLastDay: z.union([
      z.object({ events: count, isMore: z.boolean(), byReason: counts, bySource: counts }),
      unavailable,
    ]),
    pending: z.union([
      z.object({ devices: z.array(z.string()), batches: z.array(z.string()), isMore: z.boolean() }),
      unavailable,
    ]),
  }),
);
export const auditRuns = name('AuditRuns', z.object({ runs: z.array(runSummary), continuation }));
export const startedRun = name(
  'StartedAuditRun',
  z.object({ id: z.string(), status: z.enum(['running', 'finished', 'failed']), url: z.url() }),
);

name('AdoptionRequest', adoptionRequestSchema);
const counted = z.object({ count, examples: z.array(z.string()) });
const adoptionStatus = z.enum(['running', 'finished', 'failed', 'undoing', 'undone']);
export const startedAdoption = name(
  'StartedAdoption',
  z.object({ id: z.string(), status: adoptionStatus, dryRun: z.boolean(), url: z.url() }),
);
export const adoption = name(
  'Adoption',
  z.object({
    id: z.string(),
    status: adoptionStatus,
    dryRun: z.boolean(),
    startedAt: instant,
    finishedAt: instant.optional(),
    phase: z.enum(['groups', 'registrations', 'enrollments', 'undo-devices', 'undo-batches', 'done']),
    operations: count.describe('DPS operations spent.'),
    scanned: z.object({
      enrollmentGroups: count,
      groupRegistrations: count,
      individualEnrollments: count,
    }),
    taken: z
      .object({ batches: count, devices: count })
      .describe('What is in the ledger by it; of a dry run, what would be.'),
    known: count.describe('What the ledger had before.'),
    welcome: count.describe(
      'What needs no definition: groups that are managed elsewhere, and members where anybody is welcome.',
    ),
    leftOut: z
      .partialRecord(z.enum(['no-product', 'no-profile', 'wrong-enrollment-kind']), counted)
      .describe('What is not taken, and why.'),
    contradicts: counted.describe('What the ledger had before, and DPS has otherwise.'),
    profileDiffers: counted
      .extend({ byMember: counts })
      .describe('What the profile would change in DPS if it were applied.'),
    undone: z.object({ removed: count, kept: count.describe('Events have named them since.') }).optional(),
    detail: z.string().optional().describe('Why it failed.'),
  }),
);

export const rejectedEvents = name(
  'RejectedEvents',
  z.object({
    rejected: z.array(
      z.object({
        key: z.string(),
        source: z.string().optional(),
        id: z.string().optional(),
        type: z.string().optional(),
        subject: z.string().optional(),
        time: z.string().optional(),
        rejectedAt: instant,
        reason: z.enum(rejectionReasons),
        detail: z.string(),
        pointer: z.string(),
        replayable: z.boolean(),
        replayedAt: instant.optional(),
        history: z.array(json).optional().describe('How it was rejected before it was replayed.'),
      }),
    ),
    continuation,
  }),
);
name('ReplayChoice', replaySchema, 'Chosen keys, or all that a filter fits.');
export const replayed = name(
  'Replayed',
  z.object({ replayed: count, refused: z.array(z.object({ key: z.string(), why: z.string() })) }),
);

export const alive = name('Health', z.object({ status: z.literal('healthy') }));
const check = z.object({ ok: z.boolean(), detail: z.string() });
export const deepHealth = name(
  'DeepHealth',
  z.object({
    status: z.enum(['healthy', 'unhealthy']),
    checks: z.object({ dps: check, serviceBus: check, tables: check }),
  }),
);

/** RFC 9457. */
export const problem = name(
  'Problem',
  z.looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    errors: z
      .array(
        z.object({
          index: count,
          pointer: z.string(),
          reason: z.enum([...rejectionReasons, 'not-permitted']),
          detail: z.string(),
        }),
      )
      .optional()
      .describe('Of events: one for each that is wrong.'),
  }),
);
