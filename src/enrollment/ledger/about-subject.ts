import type { DefinitionData, SubjectKind } from '../../events/manufacturing-event.ts';
import type { Registers } from './registers.ts';

/** What an ERP knows a device or batch by: outcomes carry it, so that nobody has to ask. */
export interface AboutSubject {
  readonly deviceId?: string;
  readonly product?: string;
  readonly batch?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** By the event's own definition where it brings one, else by the newest that is known. */
export function aboutSubject(
  subject: { readonly kind: SubjectKind },
  own: DefinitionData | undefined,
  registers: Registers,
): AboutSubject {
  const known = registers.definitions[0]?.definition;
  const { product, batch, labels } = own ?? known ?? {};
  const deviceId = own?.deviceId ?? known?.deviceId ?? registers.spelling?.subject;
  return {
    ...(subject.kind === 'device' && deviceId !== undefined ? { deviceId } : {}),
    ...(product === undefined ? {} : { product }),
    ...(batch === undefined ? {} : { batch }),
    ...(labels === undefined ? {} : { labels }),
  };
}
