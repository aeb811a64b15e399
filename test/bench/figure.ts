/** One line of a bench: what was measured, beside a plain baseline of the same run where there is one. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly baseline?: number;
  /** value / baseline */
  readonly ratio?: number;
  /** In words, as `at most 3 s`. */
  readonly goal: string;
  readonly met: boolean;
}

export type Report = (figure: Figure) => void;

/** What a module in test/bench that holds a benchmark exports. */
export interface Bench {
  run(report: Report): Promise<void>;
}
