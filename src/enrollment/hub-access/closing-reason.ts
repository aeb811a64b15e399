import type { EventKey } from '../../events/event-identity.ts';
import type { SubjectKind } from '../../events/manufacturing-event.ts';
import type { Registers } from '../ledger/registers.ts';

/** Why an identity is disabled, as its hub's `statusReason` says it: only what we closed do we open again. */
export interface ClosingReason {
  readonly subject: SubjectKind;
  readonly word: 'held' | 'scrapped' | 'recalled' | 'retired';
  /** The event that said so; absent where a profile did. */
  readonly event?: EventKey | undefined;
}

const author = 'Enrollment pipeline';

/** Under 128 characters, which is what a hub takes. */
export function reasonText({ subject, word, event }: ClosingReason): string {
  return `${author}: ${subject} ${word} ${event === undefined ? '(by its profile)' : `(event ${event})`}`;
}

/** Whether somebody else, or something else of ours, gave this reason. */
export function isOurs(text: string | undefined): boolean {
  return text?.startsWith(`${author}: `) === true;
}

/** Which event said so makes no difference: to write another one costs an operation. */
export function isSameReason(text: string | undefined, { subject, word }: ClosingReason): boolean {
  return text?.startsWith(`${author}: ${subject} ${word} `) === true;
}

/** Of a device or batch that is kept out. */
export function closingReason(subject: SubjectKind, { life, hold }: Registers): ClosingReason {
  if (life && life.life !== 'remanufactured') {
    return { subject, word: life.life, event: life.version.key };
  }
  return { subject, word: 'held', event: hold?.version.key };
}
