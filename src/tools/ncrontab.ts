/**
 * The schedules of timers as the Functions host reads them (NCrontab, with seconds): `{second} {minute} {hour} {day}
 * {month} {day of week}`, or a TimeSpan. It knows no `?`, `L`, `W` and `#`, and Sunday is 0 alone.
 */
interface Field {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly names?: readonly string[];
}

const months = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
];
const days = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

const fields: readonly Field[] = [
  { name: 'second', from: 0, to: 59 },
  { name: 'minute', from: 0, to: 59 },
  { name: 'hour', from: 0, to: 23 },
  { name: 'day', from: 1, to: 31 },
  { name: 'month', from: 1, to: 12, names: months },
  { name: 'day of week', from: 0, to: 6, names: days },
];

/** What is wrong with a schedule, to end a sentence with; undefined if the host takes it. */
export function scheduleProblem(schedule: string): string | undefined {
  if (/^(?:\d{1,8}\.)?\d{1,2}:[0-5]?\d(?::[0-5]?\d)?$/.test(schedule)) {
    return undefined;
  }
  const parts = schedule.split(/\s+/);
  if (parts.length !== fields.length) {
    return `which has ${parts.length}`;
  }
  for (const [index, field] of fields.entries()) {
    const wrong = parts[index]?.split(',').find((part) => !isPart(part, field));
    if (wrong !== undefined) {
      return `whose ${field.name} "${wrong.slice(0, 20)}" the Functions host does not read`;
    }
  }
  return undefined;
}

/** `*`, `5`, `1-5`, each with a step: `* /10`. */
function isPart(part: string, field: Field): boolean {
  const [range = '', step, ...more] = part.split('/');
  const hasStep = step === undefined || (/^\d{1,3}$/.test(step) && Number(step) >= 1);
  if (more.length > 0 || !hasStep) {
    return false;
  }
  const ends = range.split('-');
  return range === '*' || (ends.length <= 2 && ends.every((end) => isValue(end, field)));
}

/** A number, or the beginning of a name: `Mon` as well as `Monday`. */
function isValue(text: string, { from, to, names }: Field): boolean {
  if (/^\d{1,3}$/.test(text)) {
    return Number(text) >= from && Number(text) <= to;
  }
  return /^[a-z]+$/i.test(text) && names?.some((name) => name.startsWith(text.toLowerCase())) === true;
}
