/** A rule of the control plane; what it says happens to a call, and when. */
export interface FaultRule {
  /** A name of the specification; `*` stands for any characters. */
  readonly operation: string;
  /** Answers with this instead of running the operation. */
  readonly status?: number | undefined;
  readonly errorCode?: number | undefined;
  /** Sent as it is: it may be malformed on purpose. */
  readonly retryAfter?: string | undefined;
  readonly latencyMs?: number | undefined;
  /** Cuts the connection: before anything happens, or once the change is committed. */
  readonly reset?: 'before' | 'after' | undefined;
  readonly body?: 'garbage' | 'truncated' | undefined;
  /** Share of the matching calls, 0 to 1. */
  readonly rate?: number | undefined;
  /** Fires this often, then never again. */
  readonly count?: number | undefined;
  readonly seed?: number | undefined;
}

interface ArmedRule {
  readonly rule: FaultRule;
  readonly pattern: RegExp;
  random(): number;
  left: number;
}

/** Faults that were asked for. The first rule that matches and fires decides. */
export class Faults {
  #rules: ArmedRule[] = [];

  set(rules: readonly FaultRule[]): void {
    this.#rules = rules.map((rule) => ({
      rule,
      pattern: new RegExp(`^${rule.operation.split('*').map(escapeRegExp).join('.*')}$`, 'i'),
      random: seededRandom(rule.seed ?? 1),
      left: rule.count ?? Number.POSITIVE_INFINITY,
    }));
  }

  pick(operation: string): FaultRule | undefined {
    for (const armed of this.#rules) {
      if (armed.left <= 0 || !armed.pattern.test(operation)) {
        continue;
      }
      if (armed.rule.rate !== undefined && armed.random() >= armed.rule.rate) {
        continue;
      }
      armed.left -= 1;
      return armed.rule;
    }
    return undefined;
  }
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.|?+()[\]{}]/g, '\\$&');
}

/** mulberry32: small, and the same numbers for the same seed everywhere. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
