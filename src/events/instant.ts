/**
 * An RFC 3339 instant, normalised to UTC with nine fraction digits (`2026-11-23T04:05:06.123456789Z`),
 * so that comparing texts compares times at full precision.
 */
export type Instant = string & { readonly __instant: unique symbol };

const rfc3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})$/;

/** Undefined if the text is no RFC 3339 date-time. Digits past the ninth are dropped. */
export function parseInstant(text: string): Instant | undefined {
  const match = rfc3339.exec(text);
  if (!match) {
    return undefined;
  }
  const [, year, month, day, hour, minute, second, fraction = '', zone = 'Z'] = match;
  const leap = second === '60';
  const wholeSeconds = `${year}-${month}-${day}T${hour}:${minute}:${leap ? '59' : second}`;
  const local = Date.parse(`${wholeSeconds}Z`);
  const read = Number.isNaN(local) ? '' : new Date(local).toISOString();
  const offset = offsetInMinutes(zone);
  // Date.parse rolls no field over except 24:00, which RFC 3339 does not know.
  if (!read.startsWith(wholeSeconds) || offset === undefined) {
    return undefined;
  }
  const aheadInMs = (leap ? 1_000 : 0) - offset * 60_000;
  const iso = aheadInMs === 0 ? read : new Date(local + aheadInMs).toISOString();
  // Beyond the years 0000 to 9999 texts no longer compare as times do.
  if (iso.length !== 24) {
    return undefined;
  }
  return `${iso.slice(0, 19)}.${fraction.slice(0, 9).padEnd(9, '0')}Z` as Instant;
}

export function instantOf(date: Date): Instant {
  return `${date.toISOString().slice(0, 23)}000000Z` as Instant;
}

/** Milliseconds since 1970; what is finer is dropped. */
export function instantToMs(instant: Instant): number {
  return Date.parse(`${instant.slice(0, 23)}Z`);
}

function offsetInMinutes(zone: string): number | undefined {
  if (zone === 'Z' || zone === 'z') {
    return 0;
  }
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(4, 6));
  if (hours > 23 || minutes > 59) {
    return undefined;
  }
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
}
