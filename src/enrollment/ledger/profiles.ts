import * as z from 'zod';
import packagedProfiles from '../../enrollment-profiles.json' with { type: 'json' };
import { opaqueObject } from '../../events/event-data-schema.ts';
import type { JsonObject } from '../../events/json.ts';
import { dpsIdPattern } from '../../events/read-event.ts';
import { twinProblems } from '../../events/twin-content.ts';
import { readJsonFile } from '../../tools/json-file.ts';
import { namePattern } from '../../tools/name-pattern.ts';

const hostName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.-]*$/, { error: 'must be a host name' });

const profileSchema = z.strictObject({
  product: z
    .string()
    .regex(namePattern, { error: 'must be a product name, or a prefix that ends in one *' })
    .describe('A product, or a prefix that ends in one *. The most specific profile wins.'),
  enrollment: z.enum(['individual', 'group']),
  enrollmentGroup: z
    .string()
    .regex(dpsIdPattern)
    .optional()
    .describe('Of group profiles: a group that is managed elsewhere. Absent: a group a batch.'),
  members: z
    .enum(['announced', 'any'])
    .optional()
    .describe(
      'Of group profiles. any: whoever the group lets in is welcome, and no event has to speak of it.',
    ),
  expectedWithinDays: z
    .number()
    .positive()
    .optional()
    .describe(
      'So many days after it was manufactured a device that never registered is a finding. Default: 90.',
    ),
  attestation: z.enum(['symmetricKey', 'tpm', 'x509']).optional().describe('Absent: the event says.'),
  provisioningStatus: z.enum(['enabled', 'disabled']).optional().describe('disabled: born held.'),
  allocationPolicy: z.enum(['hashed', 'geoLatency', 'static', 'custom']).optional(),
  iotHubs: z.array(hostName).optional(),
  customAllocationDefinition: z
    .strictObject({ webhookUrl: z.url(), apiVersion: z.string().min(1) })
    .optional(),
  reprovisionPolicy: z
    .strictObject({ updateHubAssignment: z.boolean(), migrateDeviceData: z.boolean() })
    .optional(),
  capabilities: z.strictObject({ iotEdge: z.boolean() }).optional(),
  initialTwin: z
    .strictObject({
      tags: opaqueObject.optional(),
      properties: z.strictObject({ desired: opaqueObject.optional() }).optional(),
    })
    .optional(),
});

const fileSchema = z
  .strictObject({ $schema: z.string().optional(), profiles: z.array(profileSchema).min(1) })
  .superRefine((file, context) => {
    const seen = new Set<string>();
    file.profiles.forEach((profile, index) => {
      const complain = (member: string, message: string) =>
        context.addIssue({ code: 'custom', path: ['profiles', index, member], message });
      if (seen.has(profile.product)) {
        complain('product', `says ${profile.product} a second time`);
      }
      seen.add(profile.product);
      if (profile.enrollment === 'individual' && profile.enrollmentGroup !== undefined) {
        complain('enrollmentGroup', 'belongs to profiles with enrollment "group"');
      }
      if (profile.enrollment === 'individual' && profile.members !== undefined) {
        complain('members', 'belongs to profiles with enrollment "group"');
      }
      for (const [name, content] of twinContents(profile.initialTwin)) {
        for (const { path, detail } of twinProblems(name, content)) {
          complain(
            ['initialTwin', ...(name === 'tags' ? [] : ['properties']), name, ...path].join('.'),
            detail,
          );
        }
      }
      if (profile.enrollment === 'group' && profile.attestation === 'tpm') {
        complain('attestation', 'cannot be tpm for a group: DPS has no such groups');
      }
      if (profile.allocationPolicy === 'custom' && !profile.customAllocationDefinition) {
        complain('customAllocationDefinition', 'is required where allocationPolicy is custom');
      }
    });
  });

function twinContents(twin: z.infer<typeof profileSchema>['initialTwin']) {
  const contents = [
    ['tags', twin?.tags],
    ['desired', twin?.properties?.desired],
  ] as const;
  return contents.flatMap(([name, content]) => (content ? [[name, content] as const] : []));
}

type WithoutUndefined<T> = { [K in keyof T]: Exclude<T[K], undefined> };
export type EnrollmentProfile = WithoutUndefined<z.infer<typeof profileSchema>>;

/** What a profile that does not say grants a device until it registers. */
export const defaultExpectedWithinDays = 90;

export class ProfilesError extends Error {
  override name = 'ProfilesError';
}

export class EnrollmentProfiles {
  readonly #exact = new Map<string, EnrollmentProfile>();
  readonly all: readonly EnrollmentProfile[];
  readonly #prefixes: readonly { readonly prefix: string; readonly profile: EnrollmentProfile }[];

  constructor(profiles: readonly EnrollmentProfile[]) {
    this.all = profiles;
    const prefixes: { prefix: string; profile: EnrollmentProfile }[] = [];
    for (const profile of profiles) {
      if (profile.product.endsWith('*')) {
        prefixes.push({ prefix: profile.product.slice(0, -1), profile });
      } else {
        this.#exact.set(profile.product, profile);
      }
    }
    this.#prefixes = prefixes.sort((left, right) => right.prefix.length - left.prefix.length);
  }

  /** The exact profile, else the one with the longest prefix; undefined if the product has none. */
  for(product: string): EnrollmentProfile | undefined {
    return (
      this.#exact.get(product) ?? this.#prefixes.find(({ prefix }) => product.startsWith(prefix))?.profile
    );
  }
}

/** Reads the file that `ENROLLMENT_PROFILES` names, or the packaged one. Throws a ProfilesError that fits a line. */
export function loadProfiles(file: string | undefined): EnrollmentProfiles {
  const name = file ?? 'the packaged enrollment profiles';
  const parsed = fileSchema.safeParse(
    file === undefined ? packagedProfiles : readJsonFile(file, ProfilesError),
  );
  if (parsed.success) {
    return new EnrollmentProfiles(parsed.data.profiles as EnrollmentProfile[]);
  }
  const issue = parsed.error.issues[0];
  throw new ProfilesError(`${name}: ${issue?.path.join('.')} ${issue?.message}`);
}

/** All that is wrong with the content of such a file, where a start names the first. */
export function profileProblems(content: unknown): string[] {
  const issues = fileSchema.safeParse(content).error?.issues ?? [];
  return issues.map(({ path, message }) => `${path.join('.')} ${message}`.trim());
}

/** For editors; lies beside the packaged file. */
export function profilesJsonSchema(): JsonObject {
  return z.toJSONSchema(fileSchema, { unrepresentable: 'any' }) as JsonObject;
}
