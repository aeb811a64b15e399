import { Random } from '../support/random.ts';

/** Something that can happen now. `cost`: what it takes of the run's faults. */
export interface Option {
  readonly name: string;
  readonly cost: number;
  /** How likely it is, beside the others. */
  readonly weight: number;
  happen(): void;
}

export class Violation extends Error {
  override name = 'Violation';
}

/** A call that somebody waits for: the scheduler decides when it is carried out, and whether its answer comes. */
export interface PendingCall {
  readonly owner: string;
  readonly name: string;
  /** Carries it out and answers. */
  answer(): void;
  /** Answers with a failure, once or without having been carried out. */
  readonly faults: readonly { readonly name: string; happen(): void }[];
}

/** Interleaves everything that waits, by a seed. Nothing moves unless it is picked here. */
export class Scheduler {
  readonly random: Random;
  readonly calls = new Set<PendingCall>();
  readonly trace: string[] = [];
  steps = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  call<T>(
    owner: string,
    name: string,
    carryOut: () => T,
    faults: (finish: { reject(error: unknown): void }) => { name: string; happen(): void }[] = () => [],
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const call: PendingCall = {
        owner,
        name,
        answer: () => {
          this.calls.delete(call);
          try {
            resolve(carryOut());
          } catch (error) {
            reject(error);
          }
        },
        faults: faults({ reject }).map((fault) => ({
          name: fault.name,
          happen: () => {
            this.calls.delete(call);
            fault.happen();
          },
        })),
      };
      this.calls.add(call);
    });
  }

  callOptions(): Option[] {
    const options: Option[] = [];
    for (const call of this.calls) {
      const name = `${call.owner} ${call.name}`;
      options.push({ name, cost: 0, weight: 8, happen: () => call.answer() });
      for (const fault of call.faults) {
        options.push({ name: `${name}: ${fault.name}`, cost: 1, weight: 1, happen: fault.happen });
      }
    }
    return options;
  }

  async take(option: Option): Promise<void> {
    this.steps++;
    this.trace.push(option.name);
    option.happen();
    // Whatever follows without another call happens now.
    await new Promise((resolve) => setImmediate(resolve));
  }

  pick(options: readonly Option[]): Option | undefined {
    const sum = options.reduce((total, { weight }) => total + weight, 0);
    let left = this.random.next() * sum;
    for (const option of options) {
      left -= option.weight;
      if (left < 0) {
        return option;
      }
    }
    return options.at(-1);
  }
}
