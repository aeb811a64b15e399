import type { DefinitionData, EventIdentity } from '../../events/manufacturing-event.ts';
import type { DecodedMessage } from '../../events/queue-message.ts';
import type { Rejection } from '../../events/rejection.ts';
import type { Claimant } from '../ledger/lease.ts';
import type { Registers } from '../ledger/registers.ts';
import type { SubjectRef } from '../ledger/subject-state.ts';
import type { EventEvaluation } from './event-evaluation.ts';

/** A message without an event: it verifies DPS once more, or picks up what was left behind. */
export type Errand = { readonly look: string } | Recovery;

/** Names what it comes for: a delivery that was overtaken must not hold what has come since, as nobody waits for it. */
export interface Recovery {
  readonly recovery: true;
  /** Somebody does not want to wait until what is parked comes again. */
  readonly now?: true;
  /** As the state had them. */
  readonly pendingSince?: string;
  readonly pendingLook?: string;
}

/** One delivery of a message that concerns a device or batch. */
export interface Delivery extends Claimant {
  readonly subject: SubjectRef;
  readonly event?: DeliveredEvent;
  readonly errand?: Errand;
  /** Failed attempts so far. */
  readonly tries: number;
  /** Milliseconds since 1970: no call to DPS after that. */
  readonly deadline: number;
}

export interface DeliveredEvent {
  readonly identity: EventIdentity;
  readonly evaluation: EventEvaluation;
  readonly message: DecodedMessage;
  /** As far as it reads. */
  readonly definition: DefinitionData | undefined;
  /** What may be kept of its body, without a secret; undefined if nothing may. */
  keptBody(): string | undefined;
  /** Why its sender may not send it, by what the ledger knows of the device or batch. */
  forbidden(registers: Registers): Rejection | undefined;
}

/** Whether an earlier delivery of the chain may have stopped anywhere. */
export function mayHaveStopped({ attempt, delivery }: Delivery): boolean {
  return attempt > 1 || delivery > 1;
}
