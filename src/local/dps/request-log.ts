const recentRequests = 50;

export interface LoggedRequest {
  readonly at: number;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly operation: string | undefined;
  /** `reset` if the connection was cut on purpose, `CONNACK n` if it was refused. */
  readonly status: number | 'reset' | `CONNACK ${number}`;
}

/** Counts requests, and remembers the last of them for the page. Holds no headers and no bodies. */
export class RequestLog {
  #counts: Record<string, Record<string, number>> = {};
  #recent: LoggedRequest[] = [];
  #next = 0;

  get counts(): Readonly<Record<string, Readonly<Record<string, number>>>> {
    return this.#counts;
  }

  add(request: LoggedRequest): void {
    this.#recent[this.#next] = request;
    this.#next = (this.#next + 1) % recentRequests;
    if (request.operation === undefined) {
      return;
    }
    const statuses = this.#counts[request.operation] ?? {};
    this.#counts[request.operation] = statuses;
    statuses[request.status] = (statuses[request.status] ?? 0) + 1;
  }

  /** Newest first. */
  recent(): LoggedRequest[] {
    return [...this.#recent.slice(this.#next), ...this.#recent.slice(0, this.#next)].reverse();
  }

  reset(): void {
    this.#counts = {};
    this.#recent = [];
    this.#next = 0;
  }
}
