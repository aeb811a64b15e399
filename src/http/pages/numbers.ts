import { html, type Markup } from '../html.ts';

const thousands = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const minuteInMs = 60_000;
const minus = '\u2212';

/** `40,218` */
export function count(value: number): string {
  return thousands.format(value);
}

/** `1 device`, `40,218 devices` */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** `+108`, `−26`, `0` */
export function signed(value: number): string {
  if (value === 0) {
    return '0';
  }
  return value > 0 ? `+${count(value)}` : `${minus}${count(-value)}`;
}

/** `93.9 %`; of nothing there is no share. */
export function share(part: number, whole: number): string {
  return whole === 0 ? '–' : `${((100 * part) / whole).toFixed(1)} %`;
}

/** `23 Nov 2026` */
export function dayText(date: Date, withYear = true): string {
  const day = `${date.getUTCDate()} ${months[date.getUTCMonth()]}`;
  return withYear ? `${day} ${date.getUTCFullYear()}` : day;
}

export function clockText(date: Date): string {
  return date.toISOString().slice(11, 16);
}

/** A moment as `23 Nov 2026, 04:12 UTC`; in cells without the zone, which the foot of the page names. */
export function moment(
  iso: string | undefined,
  style: 'full' | 'cell' | 'day' | 'clock' = 'full',
): Markup | string {
  const date = new Date(iso ?? '');
  if (iso === undefined || Number.isNaN(date.getTime())) {
    return '';
  }
  const texts = {
    full: `${dayText(date)}, ${clockText(date)} UTC`,
    cell: `${dayText(date)}, ${clockText(date)}`,
    day: dayText(date),
    clock: clockText(date),
  };
  return html`<time datetime="${date.toISOString()}">${texts[style]}</time>`;
}

/** Two units at most: `2 days 2 h`, `14 min`. */
export function duration(inMs: number): string {
  const minutes = Math.max(0, Math.round(inMs / minuteInMs));
  if (minutes < 1) {
    return `${Math.max(0, Math.round(inMs / 1_000))} s`;
  }
  if (minutes < 60) {
    return `${minutes} min`;
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 24) {
    return joined(`${hours} h`, minutes % 60, 'min');
  }
  const days = Math.floor(hours / 24);
  return joined(days === 1 ? '1 day' : `${count(days)} days`, hours % 24, 'h');
}

function joined(first: string, rest: number, unit: string): string {
  return rest === 0 ? first : `${first} ${rest} ${unit}`;
}
