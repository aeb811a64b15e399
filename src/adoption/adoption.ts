/** Takes what DPS has already into the ledger. Nothing is changed in DPS, and no key is read. */

/** Where an adoption stands; written after every page. */
export type AdoptionCheckpoint =
  | { readonly phase: 'groups'; readonly continuation?: string }
  | { readonly phase: 'registrations'; readonly group: number; readonly continuation?: string }
  | { readonly phase: 'enrollments'; readonly continuation?: string }
  | { readonly phase: 'undo-devices'; readonly continuation?: string }
  | { readonly phase: 'undo-batches'; readonly continuation?: string }
  | { readonly phase: 'done' };

export type LeftOut =
  /** No rule names its product. */
  | 'no-product'
  /** Its product has no profile. */
  | 'no-profile'
  /** An individual enrollment of a product that is enrolled through groups, or a group of one that is not. */
  | 'wrong-enrollment-kind';

/** A count with the first few of what was counted. */
export interface Counted {
  readonly count: number;
  readonly examples: readonly string[];
}

export interface Adoption {
  /** When it began, as `2026-11-23T04-00-00-000Z`. */
  readonly id: string;
  readonly dryRun: boolean;
  readonly status: 'running' | 'finished' | 'failed' | 'undoing' | 'undone';
  readonly startedAt: string;
  readonly finishedAt?: string;
  /** DPS operations spent. */
  readonly operations: number;
  readonly scanned: {
    readonly enrollmentGroups: number;
    readonly groupRegistrations: number;
    readonly individualEnrollments: number;
  };
  /** What is in the ledger now, or would be, by this adoption. */
  readonly taken: { readonly batches: number; readonly devices: number };
  /** What the ledger had before. */
  readonly known: number;
  /** What needs no definition: groups that are managed elsewhere, and their members where anybody is welcome. */
  readonly welcome: number;
  readonly leftOut: Readonly<Partial<Record<LeftOut, Counted>>>;
  /** What the ledger had before, and DPS has otherwise; audits report it as enrollment-differs. */
  readonly contradicts: Counted;
  /** What the profile would change in DPS if it were applied, by member; the next audit reports it as enrollment-differs. */
  readonly profileDiffers: Counted & { readonly byMember: Readonly<Record<string, number>> };
  /** Of an undone one: what it had taken and is gone again, and what events have named since, which stays. */
  readonly undone?: { readonly removed: number; readonly kept: number };
  readonly detail?: string;
  readonly checkpoint: AdoptionCheckpoint;
  /** Ids of the enrollment groups, in lower case, with what of their names and products members need. */
  readonly groups: readonly AdoptedGroup[];
  readonly restarts: number;
  /** What had been counted when the listing that is under way began. */
  readonly before?: AdoptionCounts;
}

export type AdoptionCounts = Pick<
  Adoption,
  'scanned' | 'taken' | 'known' | 'welcome' | 'leftOut' | 'contradicts' | 'profileDiffers'
>;

export interface AdoptedGroup {
  readonly id: string;
  readonly product?: string;
}

const examplesKept = 10;
const none: Counted = { count: 0, examples: [] };

export function newAdoption(startedAt: Date, dryRun: boolean): Adoption {
  return {
    id: startedAt.toISOString().replaceAll(/[:.]/g, '-'),
    dryRun,
    status: 'running',
    startedAt: startedAt.toISOString(),
    operations: 0,
    scanned: { enrollmentGroups: 0, groupRegistrations: 0, individualEnrollments: 0 },
    taken: { batches: 0, devices: 0 },
    known: 0,
    welcome: 0,
    leftOut: {},
    contradicts: none,
    profileDiffers: { ...none, byMember: {} },
    checkpoint: { phase: 'groups' },
    groups: [],
    restarts: 0,
  };
}

export function countedWith(before: Counted = none, subject: string): Counted {
  const examples = before.examples.length < examplesKept ? [...before.examples, subject] : before.examples;
  return { count: before.count + 1, examples };
}

/** As callers see it. */
export function adoptionDocument(adoption: Adoption) {
  const { checkpoint, groups: _, restarts: __, before: ___, ...shown } = adoption;
  return { ...shown, phase: checkpoint.phase };
}
