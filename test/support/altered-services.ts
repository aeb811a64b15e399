import { Ledger } from '../../src/enrollment/ledger/ledger.ts';
import { EventBus, type EventBusAccess } from '../../src/events/event-bus.ts';
import { Services, type ServicesOptions } from '../../src/services.ts';
import type { Settings } from '../../src/settings.ts';

/** What a test does in the place of a call, where it does anything. `pass` is the call itself. */
export interface BusCalls {
  queueEvents?:
    | ((events: Parameters<EventBus['queueEvents']>[0], pass: () => Promise<void>) => Promise<void>)
    | undefined;
  publish?: ((pass: () => Promise<void>) => Promise<void>) | undefined;
}

export interface LedgerCalls {
  write?: (() => Promise<never>) | undefined;
}

export interface Alterations {
  readonly bus?: BusCalls;
  readonly ledger?: LedgerCalls;
}

class AlteredBus extends EventBus {
  readonly #calls: BusCalls;

  constructor(access: EventBusAccess, calls: BusCalls) {
    super(access);
    this.#calls = calls;
  }

  override queueEvents(events: Parameters<EventBus['queueEvents']>[0]): Promise<void> {
    const pass = () => super.queueEvents(events);
    return this.#calls.queueEvents?.(events, pass) ?? pass();
  }

  override publish(...outcome: Parameters<EventBus['publish']>): Promise<void> {
    const pass = () => super.publish(...outcome);
    return this.#calls.publish?.(pass) ?? pass();
  }
}

class AlteredLedger extends Ledger {
  readonly #calls: LedgerCalls;

  constructor(calls: LedgerCalls, ...parts: ConstructorParameters<typeof Ledger>) {
    super(...parts);
    this.#calls = calls;
  }

  override write(...change: Parameters<Ledger['write']>): ReturnType<Ledger['write']> {
    return this.#calls.write?.() ?? super.write(...change);
  }
}

/** The app's parts, wired as always, but for a Service Bus and a ledger that do what a test wants. */
export class AlteredServices extends Services {
  readonly #bus: EventBus | undefined;
  readonly #ledger: Ledger | undefined;

  constructor(settings: Settings, options: ServicesOptions, { bus, ledger }: Alterations) {
    super(settings, options);
    const { serviceBus } = settings;
    if (bus && 'connectionString' in serviceBus) {
      this.#bus = new AlteredBus(serviceBus, bus);
    }
    if (ledger) {
      this.#ledger = new AlteredLedger(ledger, this.table('devices'), this.table('batches'), this.fleetIndex);
    }
  }

  override get bus(): EventBus {
    return this.#bus ?? super.bus;
  }

  override get ledger(): Ledger {
    return this.#ledger ?? super.ledger;
  }

  override async close(): Promise<void> {
    await this.#bus?.close();
    await super.close();
  }
}
