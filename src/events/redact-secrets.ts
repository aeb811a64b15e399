import { parseJson } from './decode-json.ts';
import { isJsonObject } from './json.ts';
import { mayHoldSecret } from './secret-texts.ts';

/** Fewer characters of a key in a row may be chance, and tell nobody anything. */
const tellingLength = 8;

/**
 * What a bug throws goes to the host's log, and may become the reason of a dead letter: without the keys of the message
 * that it was thrown over. Parsers, for example, quote what they do not understand.
 */
export function redactSecrets(error: unknown, messageText: string): unknown {
  if (!(error instanceof Error)) {
    return error;
  }
  const secrets = secretsIn(messageText);
  const chain: string[] = [];
  for (let each: unknown = error; each instanceof Error && chain.length < 10; each = each.cause) {
    chain.push(`${each.message}\n${each.stack}`);
  }
  const said = chain.join('\n');
  if (!secrets.some((secret) => quotes(said, secret))) {
    return error;
  }
  const report = new Error('What went wrong is left out here, since it quotes a key.');
  report.name = error.name;
  const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line)) ?? [];
  report.stack = [`${report.name}: ${report.message}`, ...frames].join('\n');
  return report;
}

/** Every text that may be a key, whatever it is called: by value, as for what is kept of rejected events. */
function secretsIn(text: string): readonly string[] {
  const secrets: string[] = [];
  const collect = (value: unknown): void => {
    if (typeof value === 'string') {
      const inner = parseJson(value);
      if (!inner.problem && typeof inner.value === 'object') {
        collect(inner.value);
      } else if (mayHoldSecret(value)) {
        secrets.push(value);
      }
    } else if (Array.isArray(value)) {
      value.forEach(collect);
    } else if (isJsonObject(value)) {
      for (const [name, member] of Object.entries(value)) {
        collect(name);
        collect(member);
      }
    }
  };
  const parsed = parseJson(text);
  // Of what is no JSON nobody knows where its keys are.
  if (parsed.problem) {
    return text.match(/[A-Za-z0-9+/=_-]{16,}/g) ?? [];
  }
  collect(typeof parsed.value === 'string' ? (decodedTwice(parsed.value) ?? parsed.value) : parsed.value);
  return secrets;
}

function decodedTwice(text: string): unknown {
  const parsed = parseJson(text);
  return parsed.problem ? undefined : parsed.value;
}

function quotes(said: string, secret: string): boolean {
  for (let start = 0; start + tellingLength <= secret.length; start++) {
    if (said.includes(secret.slice(start, start + tellingLength))) {
      return true;
    }
  }
  return false;
}
