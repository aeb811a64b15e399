import type { X509Attestation } from '../../dps/models.ts';
import type { EventKey } from '../../events/event-identity.ts';
import type { AttestationData, DefinitionData } from '../../events/manufacturing-event.ts';
import { compareVersions, type Version } from './version.ts';

/** What a definition says, without symmetric keys: those exist in the event's message and in DPS alone. */
export type Definition = Omit<DefinitionData, 'remanufactured' | 'attestation'> & {
  readonly attestation?: AttestationData | StoredX509;
};

/** Of an enrollment that was adopted: what DPS tells of its certificates, and takes for them when it is sent again. */
export interface StoredX509 {
  readonly type: 'x509';
  readonly asStored: X509Attestation;
}

export interface VersionedDefinition {
  readonly version: Version;
  readonly definition: Definition;
  /** DPS has taken it: what is in force if DPS refuses all that is newer. */
  readonly accepted?: true;
}

/** The newest first. */
export function withDefinition(
  definitions: readonly VersionedDefinition[],
  version: Version,
  said: DefinitionData,
): readonly VersionedDefinition[] {
  if (definitions.some((each) => each.version.key === version.key)) {
    return definitions;
  }
  const { remanufactured: _, ...lasting } = said;
  const sorted = [...definitions, { version, definition: withoutSymmetricKeys(lasting) }].sort(
    (left, right) => compareVersions(right.version, left.version),
  );
  return downToAccepted(sorted);
}

/** DPS has accepted the newest: there is no falling back behind it any more. */
export function newestAccepted(definitions: readonly VersionedDefinition[]): readonly VersionedDefinition[] {
  const [newest] = definitions;
  if (!newest || (newest.accepted && definitions.length === 1)) {
    return definitions;
  }
  return [{ ...newest, accepted: true }];
}

export function withoutDefinition(
  definitions: readonly VersionedDefinition[],
  key: EventKey,
): readonly VersionedDefinition[] {
  return definitions.filter((each) => each.version.key !== key);
}

/** Nothing is in force behind what DPS has accepted. */
function downToAccepted(sorted: readonly VersionedDefinition[]): readonly VersionedDefinition[] {
  const accepted = sorted.findIndex((each) => each.accepted);
  return accepted < 0 ? sorted : sorted.slice(0, accepted + 1);
}

function withoutSymmetricKeys(definition: Definition): Definition {
  if (definition.attestation?.type !== 'symmetricKey') {
    return definition;
  }
  const attestation: AttestationData = { type: 'symmetricKey' };
  return { ...definition, attestation };
}
