/** Values of a message as the Service Bus extension of the real host writes them into trigger metadata: as .NET's Json.NET does. */

const ticksPerMs = 10_000n;
/** .NET counts from the year 1. */
const epochInTicks = 621_355_968_000_000_000n;

/** What .NET has for a time that nobody set. */
export const noDateTime = '0001-01-01T00:00:00';

/** A `DateTime` without its kind: `2026-11-25T23:16:12.438`. Whoever reads it must know that it is UTC. */
export function dateTime(date: Date): string {
  return date.toISOString().replace(/\.?0*Z$/, '');
}

/** A `DateTimeOffset`: `2026-11-25T23:16:12.438+00:00`. */
export function dateTimeOffset(date: Date): string {
  return `${dateTime(date)}+00:00`;
}

/**
 * An application property. AMQP's timestamps and uuids, and the types that .NET describes (Uri, DateTimeOffset, TimeSpan), are
 * text; the client hands a uuid over as 16 bytes, so bytes of that length are taken for one.
 */
export function applicationProperty(value: unknown): unknown {
  if (value instanceof Date) {
    return `${dateTime(value)}Z`;
  }
  if (Buffer.isBuffer(value)) {
    return value.length === 16 ? uuid(value) : value.toString('base64');
  }
  if (!isDescribed(value)) {
    return value;
  }
  const content = value.value;
  switch (String(value.descriptor.value)) {
    case 'com.microsoft:datetime-offset':
      return dateTimeOffset(new Date(Number((ticksOf(content) - epochInTicks) / ticksPerMs)));
    case 'com.microsoft:timespan':
      return timeSpan(ticksOf(content));
    default:
      return content;
  }
}

interface Described {
  readonly descriptor: { readonly value: unknown };
  readonly value: unknown;
}

function isDescribed(value: unknown): value is Described {
  return typeof value === 'object' && value !== null && 'descriptor' in value && 'value' in value;
}

function uuid(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** The client hands longs beyond 2^53 over as bytes. */
function ticksOf(value: unknown): bigint {
  return Buffer.isBuffer(value) ? value.readBigInt64BE() : BigInt(Number(value));
}

/** `[-][d.]hh:mm:ss[.fffffff]` */
function timeSpan(ticks: bigint): string {
  const positive = ticks < 0n ? -ticks : ticks;
  const seconds = positive / (1_000n * ticksPerMs);
  const part = (size: bigint, of: bigint) => String((seconds / size) % of).padStart(2, '0');
  const days = seconds / 86_400n;
  const fraction = positive % (1_000n * ticksPerMs);
  return [
    ticks < 0n ? '-' : '',
    days > 0n ? `${days}.` : '',
    `${part(3_600n, 24n)}:${part(60n, 60n)}:${part(1n, 60n)}`,
    fraction > 0n ? `.${String(fraction).padStart(7, '0')}` : '',
  ].join('');
}
