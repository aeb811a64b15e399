import { isJsonObject, type JsonObject } from './json.ts';
import { quoted, shownName } from './secret-texts.ts';

/** A member that no IoT hub takes. */
export interface TwinProblem {
  /** From the content's root. */
  readonly path: readonly string[];
  /** Continues a sentence that began with the member's pointer: `has …`. */
  readonly detail: string;
}

/** As IoT Hub documents them for device twins. */
const maxKeyBytes = 1_024;
const maxTextBytes = 4_096;
const maxLevels = 10;
const maxInteger = 4_503_599_627_370_496;
const maxBytes = { tags: 8 * 1_024, desired: 32 * 1_024 } as const;

/** What is wrong with tags or desired properties: DPS would store them, and the hub would refuse the device's twin. */
export function twinProblems(kind: keyof typeof maxBytes, content: JsonObject): TwinProblem[] {
  const problems: TwinProblem[] = [];
  look(content, [], problems);
  const bytes = problems.length === 0 ? Buffer.byteLength(JSON.stringify(content)) : 0;
  if (bytes > maxBytes[kind]) {
    const detail = `has ${bytes} bytes; an IoT hub takes ${maxBytes[kind]} of ${kind} at most`;
    problems.push({ path: [], detail });
  }
  return problems;
}

const problemsTold = 10;

function look(value: unknown, path: readonly string[], problems: TwinProblem[]): void {
  if (problems.length >= problemsTold) {
    return;
  }
  const problem = valueProblem(value, path.length);
  if (problem !== undefined) {
    problems.push({ path, detail: problem });
    return;
  }
  if (Array.isArray(value)) {
    value.forEach((each, index) => {
      look(each, [...path, String(index)], problems);
    });
  } else if (isJsonObject(value)) {
    for (const [name, member] of Object.entries(value)) {
      const wrong = nameProblem(name);
      if (wrong === undefined) {
        look(member, [...path, name], problems);
      } else {
        problems.push({ path: [...path, shownName(name)], detail: wrong });
      }
    }
  }
}

function valueProblem(value: unknown, levels: number): string | undefined {
  if (typeof value === 'string' && Buffer.byteLength(value) > maxTextBytes) {
    return `is a text of ${Buffer.byteLength(value)} bytes; an IoT hub takes ${maxTextBytes} at most`;
  }
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) > maxInteger) {
    return `is beyond ±${maxInteger}, which is as far as integers of a twin go; send it as a text`;
  }
  if (typeof value === 'object' && value !== null && levels > maxLevels) {
    return `nests deeper than ${maxLevels} levels, which is as deep as a twin goes`;
  }
  return undefined;
}

function nameProblem(name: string): string | undefined {
  if (name === '') {
    return 'is a member without a name, which no IoT hub takes';
  }
  if (Buffer.byteLength(name) > maxKeyBytes) {
    return `is a member whose name is longer than ${maxKeyBytes} bytes, which no IoT hub takes`;
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is they that are looked for
  if (/[.$#\s\u0000-\u001f\u007f-\u009f]/.test(name)) {
    return `has the name "${quoted(name)}"; names in a twin must not have dots, $, #, spaces or control characters`;
  }
  return undefined;
}
