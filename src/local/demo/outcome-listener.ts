import { ServiceBusClient } from '@azure/service-bus';

import { enrollmentOutcomesTopic } from '../../events/messaging-entities.ts';

export interface Outcome {
  readonly id: string;
  readonly type: string;
  readonly subject?: string;
  readonly data: {
    readonly reason?: string;
    readonly detail?: string;
    readonly hubAccess?: string;
    readonly event?: { readonly id?: string };
  };
}

export interface OutcomeAddress {
  readonly subject: string | undefined;
  readonly correlationId: unknown;
  readonly properties: Readonly<Record<string, unknown>> | undefined;
}

/** Listens to the outcomes as an ERP would: copies of one outcome count once. */
export class OutcomeListener {
  readonly outcomes = new Map<string, Outcome>();
  /** By the outcomes' ids: what subscriptions select by, and senders match with what they sent. */
  readonly addresses = new Map<string, OutcomeAddress>();
  readonly #client: ServiceBusClient;
  readonly #waiting = new Set<() => void>();

  /** `heard` is told of every copy, and of the one before it. */
  constructor(
    connectionString: string,
    heard: (outcome: Outcome, before: Outcome | undefined) => void = () => {},
  ) {
    this.#client = new ServiceBusClient(connectionString);
    const receiver = this.#client.createReceiver(enrollmentOutcomesTopic.name, 'all', {
      receiveMode: 'receiveAndDelete',
    });
    receiver.subscribe({
      processMessage: async ({ body, subject, correlationId, applicationProperties: properties }) => {
        this.addresses.set(body.id, { subject, correlationId, properties });
        heard(body, this.outcomes.get(body.id));
        this.outcomes.set(body.id, body);
        for (const look of this.#waiting) {
          look();
        }
      },
      processError: async () => {},
    });
  }

  /** Resolves once `enough` says so; rejects after `timeoutInMs`, saying what was missing. */
  until(
    enough: (outcomes: ReadonlyMap<string, Outcome>) => boolean,
    timeoutInMs: number,
    missing: () => string,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        settle();
      };
      const timer = setTimeout(() => end(() => reject(new Error(missing()))), timeoutInMs);
      const look = () => {
        if (enough(this.outcomes)) {
          end(resolve);
        }
      };
      this.#waiting.add(look);
      look();
    });
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}
