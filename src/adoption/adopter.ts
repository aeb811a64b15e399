import { differingMembers, enrollmentDiffers } from '../audit/enrollment-difference.ts';
import type { RegistrationSnapshot } from '../audit/registration-snapshot.ts';
import type { DeviceProvisioningClient } from '../dps/client.ts';
import { InvalidRequestError } from '../dps/errors.ts';
import { ifFound } from '../dps/if-found.ts';
import type { DeviceRegistrationState, EnrollmentGroup, IndividualEnrollment } from '../dps/models.ts';
import type { ThrottledDps } from '../enrollment/dps-access/throttled-dps.ts';
import { desiredState } from '../enrollment/ledger/desired-state.ts';
import { type Ledger, subjectOf } from '../enrollment/ledger/ledger.ts';
import type { EnrollmentProfile, EnrollmentProfiles } from '../enrollment/ledger/profiles.ts';
import type { SubjectRef, SubjectState } from '../enrollment/ledger/subject-state.ts';
import type { JsonObject } from '../events/json.ts';
import type { FleetIndex } from '../fleet/fleet-index.ts';
import { RowConflictError } from '../storage/tables.ts';
import type { Clock } from '../tools/clock.ts';
import { inParallel } from '../tools/in-parallel.ts';
import {
  type AdoptedAs,
  heldMember,
  stateOfEnrollment,
  stateOfGroup,
  stateOfMember,
} from './adopted-state.ts';
import { type Adoption, type AdoptionCheckpoint, countedWith, type LeftOut } from './adoption.ts';
import type { ProductFinder } from './adoption-rules.ts';

/** How long it waits for a token before its slice gives way. */
const timeoutInMs = 120_000;
const atOnce = 32;
const mostRestarts = 5;

export interface AdopterParts {
  readonly dps: DeviceProvisioningClient;
  readonly throttledDps: ThrottledDps;
  readonly ledger: Ledger;
  readonly fleet: FleetIndex;
  readonly snapshot: RegistrationSnapshot;
  readonly profiles: EnrollmentProfiles;
  readonly clock: Clock;
}

type Stored = IndividualEnrollment | EnrollmentGroup;

/** DPS has dropped a listing so often that it cannot be read. */
export class AdoptionFailedError extends Error {
  override name = 'AdoptionFailedError';
}

/** One page of an adoption after the other. A page may be repeated: what it has taken before is found again. */
export class Adopter {
  readonly #parts: AdopterParts;

  constructor(parts: AdopterParts) {
    this.#parts = parts;
  }

  async step(adoption: Adoption, products: ProductFinder): Promise<Adoption> {
    const { checkpoint } = adoption;
    const page = new AdoptionPage(this.#parts, adoption, products);
    switch (checkpoint.phase) {
      case 'groups':
        return page.groups(checkpoint.continuation);
      case 'registrations':
        return page.registrations(checkpoint.group, checkpoint.continuation);
      case 'enrollments':
        return page.enrollments(checkpoint.continuation);
      case 'undo-devices':
        return page.undo('device', checkpoint.continuation);
      case 'undo-batches':
        return page.undo('batch', checkpoint.continuation);
      default:
        return adoption;
    }
  }
}

class AdoptionPage {
  readonly #parts: AdopterParts;
  readonly #products: ProductFinder;
  #next: Adoption;

  constructor(parts: AdopterParts, adoption: Adoption, products: ProductFinder) {
    this.#parts = parts;
    this.#products = products;
    this.#next = adoption;
  }

  async groups(continuation: string | undefined): Promise<Adoption> {
    const page = await this.#page(continuation, (settings) =>
      this.#parts.dps.enrollmentGroups.query().byPage(settings).next(),
    );
    if (page === 'expired') {
      return this.#restart({ phase: 'groups' });
    }
    const groups = page.items.map((stored) => {
      const id = stored.enrollmentGroupId.toLowerCase();
      const product = this.#products.productOf({ id, group: id, tags: tagsOf(stored) });
      return { id, ...(product === undefined ? {} : { product }) };
    });
    await this.#each(page.items, (stored) => this.#takeGroup(stored));
    const known = new Map([...this.#next.groups, ...groups].map((group) => [group.id, group]));
    this.#count('enrollmentGroups', page.items.length);
    return this.#done(
      { groups: [...known.values()] },
      page.continuation === undefined
        ? { phase: 'registrations', group: 0 }
        : { phase: 'groups', continuation: page.continuation },
    );
  }

  async registrations(index: number, continuation: string | undefined): Promise<Adoption> {
    const group = this.#next.groups[index];
    if (!group) {
      return this.#done({}, { phase: 'enrollments' });
    }
    const page = await this.#page(continuation, (settings) =>
      this.#parts.dps.deviceRegistrationStates.query(group.id).byPage(settings).next(),
    );
    if (page === 'expired') {
      return this.#restart({ phase: 'registrations', group: index });
    }
    await this.#each(page.items, (record) => this.#takeMember(group, record));
    if (!this.#next.dryRun) {
      // Number 0: runs of audits count from 1.
      await this.#parts.snapshot.saveGroupPage(group.id, 0, page.items);
    }
    this.#count('groupRegistrations', page.items.length);
    return this.#done(
      {},
      page.continuation === undefined
        ? { phase: 'registrations', group: index + 1 }
        : { phase: 'registrations', group: index, continuation: page.continuation },
    );
  }

  async enrollments(continuation: string | undefined): Promise<Adoption> {
    const page = await this.#page(continuation, (settings) =>
      this.#parts.dps.individualEnrollments.query().byPage(settings).next(),
    );
    if (page === 'expired') {
      return this.#restart({ phase: 'enrollments' });
    }
    await this.#each(page.items, (stored) => this.#takeEnrollment(stored));
    this.#count('individualEnrollments', page.items.length);
    return this.#done(
      {},
      page.continuation === undefined
        ? { phase: 'done' }
        : { phase: 'enrollments', continuation: page.continuation },
    );
  }

  /** What this adoption has taken and no event has named since is gone again. */
  async undo(kind: 'device' | 'batch', continuation: string | undefined): Promise<Adoption> {
    const { ledger, fleet } = this.#parts;
    const page = await ledger.pageOfStates(kind, continuation === undefined ? {} : { continuation });
    let { removed, kept } = this.#next.undone ?? { removed: 0, kept: 0 };
    await this.#each(page.states, async ({ id, state }) => {
      if (state.adoptedBy !== this.#next.id) {
        return;
      }
      const subject = subjectOf(kind, id);
      if (state.revision === 0 && (await ledger.removeAdopted(subject, this.#next.id))) {
        await fleet.removed(subject);
        removed++;
      } else {
        kept++;
      }
    });
    const after: AdoptionCheckpoint = kind === 'device' ? { phase: 'undo-batches' } : { phase: 'done' };
    return this.#done(
      { undone: { removed, kept } },
      page.continuation === undefined
        ? after
        : { phase: kind === 'device' ? 'undo-devices' : 'undo-batches', continuation: page.continuation },
    );
  }

  async #takeGroup(stored: EnrollmentGroup): Promise<void> {
    const id = stored.enrollmentGroupId.toLowerCase();
    const found = this.#productOf({ id, group: id, tags: tagsOf(stored) }, 'group');
    if (!found) {
      return;
    }
    if (found.profile.enrollmentGroup !== undefined) {
      this.#next = { ...this.#next, welcome: this.#next.welcome + 1 };
      return;
    }
    await this.#take(subjectOf('batch', id), stateOfGroup(stored, found), stored);
  }

  async #takeMember(
    group: { readonly id: string; readonly product?: string },
    record: DeviceRegistrationState,
  ): Promise<void> {
    const id = record.registrationId?.toLowerCase();
    if (id === undefined) {
      return;
    }
    const own = this.#products.productOf({ id, group: group.id }) ?? group.product;
    const found = this.#profileOf(id, own, 'group');
    if (!found) {
      return;
    }
    if (found.profile.members === 'any') {
      this.#next = { ...this.#next, welcome: this.#next.welcome + 1 };
      return;
    }
    const state = stateOfMember({ id, createdAt: record.createdDateTimeUtc, group: group.id }, found);
    await this.#take(subjectOf('device', id), state, undefined);
  }

  async #takeEnrollment(stored: IndividualEnrollment): Promise<void> {
    const id = stored.registrationId.toLowerCase();
    const subject = subjectOf('device', id);
    const product = this.#products.productOf({ id, tags: tagsOf(stored) });
    const profile = product === undefined ? undefined : this.#parts.profiles.for(product);
    if (profile?.enrollment === 'group' || product === undefined) {
      if (await this.#closeMember(subject, stored)) {
        return;
      }
    }
    const found = this.#profileOf(id, product, 'individual');
    if (found) {
      await this.#take(subject, stateOfEnrollment(stored, found), stored);
    }
  }

  /** A disabled individual enrollment keeps a member out: DPS looks there first. */
  async #closeMember(subject: SubjectRef, stored: IndividualEnrollment): Promise<boolean> {
    const { ledger } = this.#parts;
    const view = await ledger.read(subject);
    const isOurs = view.state.adoptedBy === this.#next.id && view.state.revision === 0;
    if (!isOurs || stored.provisioningStatus !== 'disabled') {
      return view.stateEtag !== undefined;
    }
    if (view.state.registers.hold?.held !== true) {
      const state = heldMember(view.state, stored);
      await ledger.write(view, { state });
      await this.#parts.fleet.update(subject, view.state, state);
    }
    return true;
  }

  /** Inserted only: what the ledger has stays. */
  async #take(subject: SubjectRef, state: SubjectState, stored: Stored | undefined): Promise<void> {
    const { ledger, fleet } = this.#parts;
    let known = this.#next.dryRun ? await ledger.readState(subject) : undefined;
    if (!this.#next.dryRun) {
      try {
        await ledger.write(ledger.blank(subject), { state });
      } catch (error) {
        if (!(error instanceof RowConflictError)) {
          throw error;
        }
        known = await ledger.readState(subject);
      }
    }
    const isOurs = known === undefined || known.adoptedBy === this.#next.id;
    if (!isOurs) {
      return this.#countKnown(subject, known, stored);
    }
    if (!this.#next.dryRun) {
      await fleet.update(subject, undefined, known ?? state);
    }
    const { taken } = this.#next;
    const name = subject.kind === 'device' ? 'devices' : 'batches';
    this.#next = { ...this.#next, taken: { ...taken, [name]: taken[name] + 1 } };
    if (stored) {
      this.#countDifference(subject, state, stored);
    }
  }

  #countKnown(subject: SubjectRef, state: SubjectState | undefined, stored: Stored | undefined): void {
    const { kind, id } = subject;
    const desired = state && desiredState(kind, id, state.registers, this.#parts.profiles);
    const differs = desired && stored && enrollmentDiffers(id, desired, stored) !== undefined;
    this.#next = {
      ...this.#next,
      known: this.#next.known + 1,
      ...(differs ? { contradicts: countedWith(this.#next.contradicts, id) } : {}),
    };
  }

  #countDifference({ kind, id }: SubjectRef, { registers }: SubjectState, stored: Stored): void {
    const desired = desiredState(kind, id, registers, this.#parts.profiles);
    const wanted =
      desired.kind === 'enrollment'
        ? desired.enrollment
        : desired.kind === 'group'
          ? desired.group
          : undefined;
    const members = wanted ? differingMembers(wanted, stored).map((name) => name.split(' ')[0] ?? name) : [];
    if (members.length === 0) {
      return;
    }
    const { profileDiffers } = this.#next;
    const byMember = { ...profileDiffers.byMember };
    for (const member of members) {
      byMember[member] = (byMember[member] ?? 0) + 1;
    }
    this.#next = { ...this.#next, profileDiffers: { ...countedWith(profileDiffers, id), byMember } };
  }

  #productOf(
    subject: { id: string; group?: string; tags?: JsonObject | undefined },
    kind: 'group' | 'individual',
  ) {
    return this.#profileOf(subject.id, this.#products.productOf(subject), kind);
  }

  /** Undefined: it is left out, and counted so. */
  #profileOf(id: string, product: string | undefined, kind: 'group' | 'individual'): AdoptedAs | undefined {
    const profile: EnrollmentProfile | undefined =
      product === undefined ? undefined : this.#parts.profiles.for(product);
    if (product !== undefined && profile?.enrollment === kind) {
      return { adoptionId: this.#next.id, product, profile };
    }
    const why: LeftOut =
      product === undefined ? 'no-product' : profile ? 'wrong-enrollment-kind' : 'no-profile';
    const { leftOut } = this.#next;
    this.#next = { ...this.#next, leftOut: { ...leftOut, [why]: countedWith(leftOut[why], id) } };
    return undefined;
  }

  async #page<T>(
    continuation: string | undefined,
    read: (settings: {
      continuationToken?: string;
    }) => Promise<IteratorResult<T[] & { continuationToken?: string | undefined }>>,
  ): Promise<{ items: readonly T[]; continuation?: string } | 'expired'> {
    if (continuation === undefined) {
      const { scanned, taken, known, welcome, leftOut, contradicts, profileDiffers } = this.#next;
      const before = { scanned, taken, known, welcome, leftOut, contradicts, profileDiffers };
      this.#next = { ...this.#next, before };
    }
    const deadline = this.#parts.clock.now().getTime() + timeoutInMs;
    const settings = continuation === undefined ? {} : { continuationToken: continuation };
    try {
      const next = await this.#parts.throttledDps.call('audit', deadline, () => {
        this.#next = { ...this.#next, operations: this.#next.operations + 1 };
        return ifFound(read(settings));
      });
      if (!next || next.done) {
        return { items: [] };
      }
      const more = next.value.continuationToken;
      return more === undefined ? { items: next.value } : { items: next.value, continuation: more };
    } catch (error) {
      if (continuation === undefined || !(error instanceof InvalidRequestError)) {
        throw error;
      }
      return 'expired';
    }
  }

  #each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
    return inParallel(items, atOnce, work);
  }

  #count(name: keyof Adoption['scanned'], more: number): void {
    const { scanned } = this.#next;
    this.#next = { ...this.#next, scanned: { ...scanned, [name]: scanned[name] + more } };
  }

  #done(changed: Partial<Adoption>, checkpoint: AdoptionCheckpoint): Adoption {
    return { ...this.#next, ...changed, checkpoint };
  }

  /** DPS does not go on with a listing: from its start, what was taken before is found again. */
  #restart(checkpoint: AdoptionCheckpoint): Adoption {
    const restarts = this.#next.restarts + 1;
    if (restarts > mostRestarts) {
      throw new AdoptionFailedError(
        `DPS refused to go on with listings ${restarts} times. Start another adoption: it goes on with what is missing.`,
      );
    }
    return { ...this.#next, ...this.#next.before, restarts, checkpoint };
  }
}

function tagsOf(stored: Stored): JsonObject | undefined {
  return stored.initialTwin?.tags as JsonObject | undefined;
}
