import type { SubjectKind } from '../events/manufacturing-event.ts';
import { registrationStates } from './fleet-entry.ts';

/** Which devices or batches a list shows. All conditions hold at once. */
export interface FleetFilter {
  /** The beginning of an id, a device id or a label's value, without regard to case. */
  readonly q?: string;
  readonly product?: string;
  readonly batch?: string;
  readonly label?: { readonly name: string; readonly value: string };
  readonly enrollmentGroup?: string;
  readonly hub?: string;
  /** Of registration; `waiting`: never registered, and its time is not over yet. */
  readonly state?: string;
  readonly life?: string;
  readonly finding?: string;
  readonly held?: boolean;
  readonly pending?: boolean;
}

/** A filter that is not one, or a value that it does not take. */
export class FilterError extends Error {
  override name = 'FilterError';
}

export const filterNames = {
  device: [
    'q',
    'product',
    'batch',
    'label',
    'enrollmentGroup',
    'hub',
    'state',
    'life',
    'finding',
    'held',
    'pending',
  ],
  batch: ['q', 'product', 'label', 'life', 'finding', 'held', 'pending'],
} as const satisfies Record<SubjectKind, readonly (keyof FleetFilter)[]>;

export const filterValues = {
  state: [...registrationStates, 'waiting'],
  held: ['true', 'false'],
  pending: ['true', 'false'],
  life: {
    device: ['expected', 'manufactured', 'scrapped', 'unknown'],
    batch: ['expected', 'started', 'recalled', 'retired'],
  },
} as const;

const longestValue = 512;

/**
 * Reads the filters of a query. `others`: parameters that are none; `findingCodes`: what an audit may find.
 *
 * @throws FilterError that names what is wrong
 */
export function readFilter(
  kind: SubjectKind,
  query: Iterable<readonly [string, string]>,
  { others, findingCodes }: { readonly others: readonly string[]; readonly findingCodes: readonly string[] },
): FleetFilter {
  const known: readonly string[] = filterNames[kind];
  const filter: Record<string, unknown> = {};
  const seen = new Set<string>();
  for (const [name, value] of query) {
    if (others.includes(name)) {
      continue;
    }
    if (!known.includes(name)) {
      throw new FilterError(`There is no filter ${shown(name)}. There are: ${known.join(', ')}.`);
    }
    if (seen.has(name)) {
      throw new FilterError(`The filter ${name} may be given once.`);
    }
    seen.add(name);
    if (value.trim() !== '') {
      filter[name] = readValue(kind, name, value.trim(), findingCodes);
    }
  }
  return filter;
}

/** The same as parameters of an address. */
export function filterParameters(filter: FleetFilter): [string, string][] {
  return Object.entries(filter).flatMap(([name, value]): [string, string][] => {
    if (value === undefined) {
      return [];
    }
    return [[name, typeof value === 'object' ? `${value.name}:${value.value}` : String(value)]];
  });
}

function readValue(kind: SubjectKind, name: string, value: string, findingCodes: readonly string[]): unknown {
  if (value.length > longestValue) {
    throw new FilterError(`The filter ${name} takes ${longestValue} characters at most.`);
  }
  switch (name) {
    case 'held':
    case 'pending':
      return oneOf(name, value, filterValues[name]) === 'true';
    case 'state':
      return oneOf(name, value, filterValues[name]);
    case 'finding':
      return oneOf(name, value, findingCodes);
    case 'life':
      return oneOf(name, value, filterValues.life[kind]);
    case 'label': {
      const colon = value.indexOf(':');
      if (colon < 1 || colon === value.length - 1) {
        throw new FilterError('The filter label must be NAME:VALUE, such as plant:brno.');
      }
      return { name: value.slice(0, colon), value: value.slice(colon + 1) };
    }
    default:
      return value;
  }
}

function oneOf(name: string, value: string, values: readonly string[]): string {
  if (values.includes(value)) {
    return value;
  }
  throw new FilterError(`The filter ${name} cannot be ${shown(value)}. It can be: ${values.join(', ')}.`);
}

function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
