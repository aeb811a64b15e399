import type { EventKey } from '../events/event-identity.ts';
import type { AttestationData, DefinitionData } from '../events/manufacturing-event.ts';
import { compareStamps, type Stamp } from './stamp.ts';

/** What a definition says, without symmetric keys: those exist in the event's message and in DPS alone. */
export type Definition = Omit<DefinitionData, 'remanufactured'>;

export interface StampedDefinition {
  readonly stamp: Stamp;
  readonly definition: Definition;
  /** DPS has taken it: what is in force if DPS refuses all that is newer. */
  readonly accepted?: true;
}

/** Definitions that wait, and the room that they may take in the state's entity. */
const maxWaiting = 4;
const maxCharacters = 300_000;

/** The newest first. */
export function withDefinition(
  definitions: readonly StampedDefinition[],
  stamp: Stamp,
  said: DefinitionData,
): readonly StampedDefinition[] {
  if (definitions.some((each) => each.stamp.key === stamp.key)) return definitions;
  const { remanufactured: _, ...lasting } = said;
  const sorted = [...definitions, { stamp, definition: withoutSymmetricKeys(lasting) }].sort((left, right) =>
    compareStamps(right.stamp, left.stamp),
  );
  return bounded(sorted);
}

/** DPS has accepted the newest: there is no falling back behind it any more. */
export function newestAccepted(definitions: readonly StampedDefinition[]): readonly StampedDefinition[] {
  const [newest] = definitions;
  if (!newest || (newest.accepted && definitions.length === 1)) return definitions;
  return [{ ...newest, accepted: true }];
}

/**
 * Whether the definition of this event had no room beside newer ones that DPS has refused since. Only its message
 * holds it now.
 */
export function isCrowdedOut(definitions: readonly StampedDefinition[], stamp: Stamp): boolean {
  const [newest] = definitions;
  return newest === undefined || compareStamps(newest.stamp, stamp) < 0;
}

export function withoutDefinition(
  definitions: readonly StampedDefinition[],
  key: EventKey,
): readonly StampedDefinition[] {
  return definitions.filter((each) => each.stamp.key !== key);
}

/** The newest and the accepted one stay, whatever comes; the others as far as there is room. */
function bounded(sorted: readonly StampedDefinition[]): readonly StampedDefinition[] {
  const accepted = sorted.findIndex((each) => each.accepted);
  const inQuestion = accepted < 0 ? sorted : sorted.slice(0, accepted + 1);
  const sizeOf = (each: StampedDefinition) => JSON.stringify(each).length;
  const stays = (index: number) => index === 0 || index === accepted;
  let characters = 0;
  inQuestion.forEach((each, index) => {
    if (stays(index)) characters += sizeOf(each);
  });
  return inQuestion.filter((each, index) => {
    if (stays(index)) return true;
    characters += sizeOf(each);
    return index < maxWaiting && characters <= maxCharacters;
  });
}

function withoutSymmetricKeys(definition: Definition): Definition {
  if (definition.attestation?.type !== 'symmetricKey') return definition;
  const attestation: AttestationData = { type: 'symmetricKey' };
  return { ...definition, attestation };
}
