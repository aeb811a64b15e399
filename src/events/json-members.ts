import { jsonPointer } from './json.ts';
import { shownName } from './secret-texts.ts';

/** An object or array that is open where the reading is. */
interface Open {
  /** Of an object. */
  readonly names: Set<string> | undefined;
  /** The member, or the item, that comes next. */
  step: string | number;
}

const token = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*|[{}[\],:]/gs;

/**
 * The first member of a JSON text that would be lost on the way to a value: a name that its object has already, a number
 * that is not zero and would become zero. `text` is JSON; undefined if nothing is lost.
 */
export function lostMember(text: string): { readonly pointer: string; readonly detail: string } | undefined {
  const open: Open[] = [];
  let isName = false;
  for (const [found] of text.matchAll(token)) {
    const inner = open.at(-1);
    switch (found) {
      case '{':
      case '[':
        open.push({ names: found === '{' ? new Set() : undefined, step: 0 });
        isName = found === '{';
        continue;
      case '}':
      case ']':
        open.pop();
        isName = false;
        continue;
      case ',':
        isName = inner?.names !== undefined;
        if (inner && typeof inner.step === 'number') {
          inner.step++;
        }
        continue;
      case ':':
        isName = false;
        continue;
      default:
    }
    if (isName && inner?.names) {
      const name = String(JSON.parse(found));
      inner.step = name;
      if (inner.names.has(name)) {
        const detail = 'The object has this member twice, and only one can count. Send it once.';
        return { pointer: pointerOf(open), detail };
      }
      inner.names.add(name);
    } else if (!found.startsWith('"') && Number(found) === 0 && /^[^eE]*[1-9]/.test(found)) {
      const detail = 'The number is too small, and would become 0. Send 0, or a text.';
      return { pointer: pointerOf(open), detail };
    }
  }
  return undefined;
}

function pointerOf(open: readonly Open[]): string {
  const names = open.map(({ step }) => (typeof step === 'string' ? shownName(step.toWellFormed()) : step));
  return jsonPointer(names);
}
