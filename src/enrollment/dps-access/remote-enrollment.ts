import { sha256 } from '../../events/event-identity.ts';
import { canonicalJson } from '../../events/json.ts';
import type { KnownEnrollment, SubjectState } from '../ledger/subject-state.ts';

/** What the holder of a device or batch knows of its enrollment or group in DPS. */
export class RemoteEnrollment {
  known: KnownEnrollment | undefined;
  /** Something of ours may be there. */
  mayExist: boolean;
  /** What is known was read from the state, not from DPS: it says how to write, not that nothing has to be written. */
  #isRemembered: boolean;
  #mustVerify: boolean;
  /** Somebody before may have told DPS what nobody knows. */
  readonly #inherited: boolean;
  #isFenced = false;
  /** The etags on condition of which writes were sent whose answers were lost; `''` for creations. */
  readonly #lost = new Set<string>();

  constructor(state: SubjectState, options: { readonly mayExist: boolean; readonly verifies: boolean }) {
    this.#inherited = state.inDoubt === true;
    this.#mustVerify = this.#inherited || options.verifies;
    this.known = this.#mustVerify ? undefined : state.dps;
    this.#isRemembered = this.known !== undefined;
    this.mayExist = options.mayExist || this.#mustVerify;
  }

  /** A write may still be under way: what DPS holds now need not be what it holds in a minute. */
  get inDoubt(): boolean {
    return this.#inherited || this.#lost.size > 0;
  }

  /**
   * Whether even what is equal must be written: a write that is under way on condition of this etag then fails. Of one
   * that is not ours we do not know on what condition it was sent.
   */
  mustWriteOver(etag: string | undefined): boolean {
    return (this.#inherited && !this.#isFenced) || (etag !== undefined && this.#lost.has(etag));
  }

  isKnownToHold(content: string): boolean {
    return !this.#isRemembered && !this.#mustVerify && this.#contentOf() === content;
  }

  isRememberedToHold(content: string): boolean {
    return this.#isRemembered && this.#contentOf() === content;
  }

  get isKnownAbsent(): boolean {
    return this.known?.absent === true && !this.#mustVerify;
  }

  get isConfirmedAbsent(): boolean {
    return this.isKnownAbsent && !this.#isRemembered;
  }

  get etag(): string | undefined {
    return this.known && !this.known.absent && !this.#mustVerify ? this.known.etag : undefined;
  }

  /** Read, and to be replaced: should what is wanted change before that, it need not be read again. */
  read(etag: string | undefined): void {
    if (etag === undefined || this.mustWriteOver(etag)) {
      return;
    }
    this.known = { etag };
    this.#isRemembered = false;
    this.#mustVerify = false;
    this.mayExist = true;
    this.#lost.clear();
  }

  /** Read: another version than those on condition of which lost writes were sent. */
  found(known: KnownEnrollment): void {
    this.#learn(known);
    this.#lost.clear();
  }

  /** Read, or deleted. */
  absent(): void {
    this.wrote({ absent: true });
  }

  /** Written: lost updates fail from now on. A lost creation may still come, once this is deleted. */
  wrote(known: KnownEnrollment): void {
    this.#learn(known);
    for (const etag of this.#lost) {
      if (etag !== '') {
        this.#lost.delete(etag);
      }
    }
  }

  /** DPS holds something else than was thought. */
  forget(): void {
    this.known = undefined;
    this.mayExist = true;
  }

  /** Not found, so it can be created. */
  missing(): void {
    this.known = { absent: true };
    this.#isRemembered = false;
    this.#mustVerify = false;
    this.mayExist = false;
  }

  /** The answer to a write was lost. */
  lostResponse(etag: string | undefined): void {
    this.#lost.add(etag ?? '');
    this.#mustVerify = true;
    this.forget();
  }

  #learn(known: KnownEnrollment): void {
    this.known = known;
    this.#isRemembered = false;
    this.#mustVerify = false;
    this.#isFenced = true;
    this.mayExist = known.absent !== true;
  }

  #contentOf(): string | undefined {
    return this.known && !this.known.absent ? this.known.content : undefined;
  }
}

/** Stands for an enrollment's content in the state row; keys are not part of it. */
export function contentHash(content: unknown): string {
  return sha256(canonicalJson(content)).slice(0, 32);
}
