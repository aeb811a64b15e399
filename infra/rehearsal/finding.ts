/** What a rehearsal found out about one thing. `unknown`: it could not be looked at, and why. */
export interface Finding {
  readonly verdict: 'ok' | 'wrong' | 'note' | 'unknown';
  readonly what: string;
}

export const ok = (what: string): Finding => ({ verdict: 'ok', what });
export const wrong = (what: string): Finding => ({ verdict: 'wrong', what });
export const note = (what: string): Finding => ({ verdict: 'note', what });
export const unknown = (what: string): Finding => ({ verdict: 'unknown', what });
