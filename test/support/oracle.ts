import type { TestEvent } from './events.ts';

/**
 * What the contract says DPS holds for a device after all its events: written apart from the code, as plainly as
 * possible. Times are whole minutes here, so texts of one length compare as times do.
 */
export interface ExpectedDevice {
  /** `absent`: no individual enrollment. */
  readonly enrollment:
    | 'absent'
    | { readonly provisioningStatus: 'enabled' | 'disabled'; readonly tags?: unknown };
  /** The primary key that the newest definition with keys brought, unless the device was ever scrapped. */
  readonly primaryKey?: string;
}

/** What the contract says of a batch's enrollment group after all its events. */
export function expectedGroup(events: readonly TestEvent[]): 'absent' | 'enabled' | 'disabled' {
  const has = (kind: string) => events.some((each) => kindOf(each) === kind);
  if (!has('started') || has('retired')) {
    return 'absent';
  }
  return has('recalled') || isHeld(events) ? 'disabled' : 'enabled';
}

interface Data {
  readonly product?: string;
  readonly remanufactured?: boolean;
  readonly tags?: Record<string, unknown>;
  readonly attestation?: { readonly primaryKey?: string };
}

const kindOf = ({ type }: TestEvent) => type.split('.').at(-1) ?? '';
const dataOf = ({ data }: TestEvent) => (data ?? {}) as Data;

export function expectedDevice(events: readonly TestEvent[]): ExpectedDevice {
  const definitions = definitionsOf(events);
  const definition = newestDefinition(events);
  const scrapped = isScrapped(events);
  const held = isHeld(events);
  if (!definition) {
    return { enrollment: scrapped || held ? { provisioningStatus: 'disabled' } : 'absent' };
  }
  const { product = '', tags } = dataOf(definition);
  if (product.startsWith('beacon-')) {
    return { enrollment: scrapped || held ? { provisioningStatus: 'disabled' } : 'absent' };
  }
  if (scrapped) {
    return { enrollment: 'absent' };
  }
  const keys = newest(
    definitions.filter((each) => dataOf(each).attestation?.primaryKey),
    (each) => (kindOf(each) === 'changed' ? 1 : 0),
  );
  const everScrapped = events.some((each) => kindOf(each) === 'scrapped');
  const primaryKey = keys && !everScrapped ? dataOf(keys).attestation?.primaryKey : undefined;
  return {
    enrollment: { provisioningStatus: held ? 'disabled' : 'enabled', tags: { line: 'comfort', ...tags } },
    ...(primaryKey === undefined ? {} : { primaryKey }),
  };
}

export function newestDefinition(events: readonly TestEvent[]): TestEvent | undefined {
  return newest(definitionsOf(events), (each) => (kindOf(each) === 'changed' ? 1 : 0));
}

function definitionsOf(events: readonly TestEvent[]): TestEvent[] {
  return events.filter((each) => ['manufactured', 'changed', 'started'].includes(kindOf(each)));
}

export function newestHold(events: readonly TestEvent[]): TestEvent | undefined {
  return newest(
    events.filter((each) => ['held', 'released'].includes(kindOf(each))),
    (each) => (kindOf(each) === 'held' ? 1 : 0),
  );
}

export function isHeld(events: readonly TestEvent[]): boolean {
  const hold = newestHold(events);
  return hold !== undefined && kindOf(hold) === 'held';
}

export function isScrapped(events: readonly TestEvent[]): boolean {
  const lives = events.filter(
    (each) => kindOf(each) === 'scrapped' || (kindOf(each) === 'manufactured' && dataOf(each).remanufactured),
  );
  const life = newest(lives, (each) => (kindOf(each) === 'scrapped' ? 1 : 0));
  return life !== undefined && kindOf(life) === 'scrapped';
}

function newest(events: readonly TestEvent[], tieBreak: (event: TestEvent) => number): TestEvent | undefined {
  return [...events].sort(
    (left, right) =>
      compare(right.time, left.time) ||
      tieBreak(right) - tieBreak(left) ||
      compare(right.source, left.source) ||
      compare(right.id, left.id),
  )[0];
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
