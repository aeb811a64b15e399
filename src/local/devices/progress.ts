import { count } from '../demo/demo-summary.ts';
import type { FleetResult } from './register-fleet.ts';

const progressEveryMs = 500;
const listedAtMost = 20;

/** One line that is written anew while devices come, if somebody watches; then what became of them. */
export class Progress {
  readonly #total: number;
  readonly #results: FleetResult[] = [];
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #startedAt = Date.now();

  constructor(total: number) {
    this.#total = total;
    if (process.stdout.isTTY) {
      this.#timer = setInterval(() => this.#write(), progressEveryMs);
    }
  }

  add(result: FleetResult): void {
    this.#results.push(result);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#write();
    const seconds = ((Date.now() - this.#startedAt) / 1_000).toFixed(1);
    console.log(
      `${process.stdout.isTTY ? '\n' : ''}Done in ${seconds} s, over ${listed(this.#results.map(({ protocol }) => protocol))}.`,
    );
    const others = this.#results.filter(({ status }) => status !== 'assigned');
    for (const { status, registrationId, detail } of others.slice(0, listedAtMost)) {
      console.log(`${status.padEnd(12)}  ${registrationId}${detail === undefined ? '' : `: ${detail}`}`);
    }
    if (others.length > listedAtMost) {
      console.log(`… and ${others.length - listedAtMost} more`);
    }
  }

  #write(): void {
    const line = `${this.#results.length} of ${this.#total}: ${listed(this.#results.map(({ status }) => status))}`;
    process.stdout.write(process.stdout.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
  }
}

function listed(values: readonly string[]): string {
  return Object.entries(count(values))
    .map(([name, times]) => `${times} ${name}`)
    .join(', ');
}
