import { runDocument } from '../audit/audit-report.ts';
import type { AuditStore, RunLine } from '../audit/audit-store.ts';
import type { CircuitRecord } from '../circuit-record.ts';
import type { QuotaUse } from '../enrollment/dps-access/quota-use.ts';
import type { RejectedEvents } from '../enrollment/rejected/rejected-events.ts';
import type { EventBus, WaitingEvents } from '../events/event-bus.ts';
import type { FleetLists } from '../fleet/fleet-list.ts';
import type { ListedEntry } from '../fleet/index-rows.ts';
import type { Clock } from '../tools/clock.ts';
import { type HttpResponse, json, problem } from './http-response.ts';
import { preferredRepresentation, type Request } from './request.ts';

/** The queue is looked at so far. */
const eventsPeeked = 1_000;
const rejectionsCounted = 2_000;
const pendingShown = 20;
const runsShown = 10;
const dayInMs = 86_400_000;
const longestReadInMs = 4_000;

export interface StatusParts {
  readonly bus: EventBus;
  readonly circuit: CircuitRecord;
  readonly quota: QuotaUse;
  readonly auditStore: AuditStore;
  readonly rejectedEvents: RejectedEvents;
  readonly fleetLists: FleetLists;
  readonly clock: Clock;
}

/** What an operator wants to know at night. A part that does not answer says so, and the others are there all the same. */
/** Some of each. */
export interface PendingSubjects {
  readonly devices: readonly ListedEntry[];
  readonly batches: readonly ListedEntry[];
  readonly isMore: boolean;
}

export interface Status {
  readonly at: string;
  readonly waiting: Read<WaitingEvents>;
  readonly circuit: Read<{ readonly isOpen: boolean; readonly since?: string; readonly cause?: string }>;
  readonly quota: Read<{ readonly perMinute: number; readonly used: number; readonly closedUntil?: string }>;
  readonly runs: Read<readonly RunLine[]>;
  readonly rejected: Read<RejectedCounts>;
  readonly pending: Read<PendingSubjects>;
}

export interface RejectedCounts {
  readonly events: number;
  readonly isMore: boolean;
  readonly byReason: Readonly<Record<string, number>>;
  readonly bySource: Readonly<Record<string, number>>;
}

export type Read<T> =
  | { readonly value: T; readonly why?: undefined }
  | { readonly why: string; readonly value?: undefined };

export class StatusResource {
  readonly #parts: StatusParts;

  constructor(parts: StatusParts) {
    this.#parts = parts;
  }

  async read(): Promise<Status> {
    const { bus, circuit, quota, auditStore, fleetLists, clock } = this.#parts;
    const [waiting, circuitState, used, runs, rejected, pending] = await Promise.all([
      attempt(() => bus.waitingEvents(eventsPeeked)),
      attempt(async () => (await circuit.read()) ?? { isOpen: false }),
      attempt(() => quota.read()),
      attempt(async () => (await auditStore.list(runsShown)).runs),
      attempt(() => this.rejectedOfLastDay()),
      attempt(async () => {
        const pages = await Promise.all(
          (['device', 'batch'] as const).map((kind) =>
            fleetLists.page(kind, { pending: true }, { size: pendingShown }),
          ),
        );
        const [devices, batches] = pages.map(({ entries }) => entries);
        const isMore = pages.some(({ continuation }) => continuation !== undefined);
        return { devices: devices ?? [], batches: batches ?? [], isMore };
      }),
    ]);
    return {
      at: clock.now().toISOString(),
      waiting,
      circuit: circuitState,
      quota: used,
      runs,
      rejected,
      pending,
    };
  }

  async answer(request: Request): Promise<HttpResponse> {
    if (preferredRepresentation(request, ['json', 'html']) === undefined) {
      return problem({ status: 406, detail: 'The status comes as application/json or text/html.' });
    }
    return json(200, statusDocument(await this.read()), { 'cache-control': 'no-store' });
  }

  async rejectedOfLastDay(): Promise<RejectedCounts> {
    const { rejectedEvents, clock } = this.#parts;
    const since = new Date(clock.now().getTime() - dayInMs).toISOString();
    const byReason = new Map<string, number>();
    const bySource = new Map<string, number>();
    let events = 0;
    for await (const { event } of rejectedEvents.all({ since })) {
      if (events === rejectionsCounted) {
        return { events, isMore: true, ...counts(byReason, bySource) };
      }
      events++;
      byReason.set(event.reason, (byReason.get(event.reason) ?? 0) + 1);
      const source = event.source ?? '';
      bySource.set(source, (bySource.get(source) ?? 0) + 1);
    }
    return { events, isMore: false, ...counts(byReason, bySource) };
  }
}

function counts(byReason: ReadonlyMap<string, number>, bySource: ReadonlyMap<string, number>) {
  return { byReason: Object.fromEntries(byReason), bySource: Object.fromEntries(bySource) };
}

async function attempt<T>(read: () => Promise<T>): Promise<Read<T>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, refuse) => {
    timer = setTimeout(() => refuse(new Error('It did not answer in time.')), longestReadInMs);
  });
  try {
    return { value: await Promise.race([read(), late]) };
  } catch (error) {
    return { why: error instanceof Error ? error.message : 'It did not answer.' };
  } finally {
    clearTimeout(timer);
  }
}

function statusDocument({ at, waiting, circuit, quota, runs, rejected, pending }: Status) {
  const newest = runs.value?.find(({ status }) => status === 'finished');
  const running = runs.value?.find(({ status }) => status === 'running');
  const events = waiting.value;
  return {
    at,
    waiting: events
      ? {
          events: events.active,
          scheduled: events.scheduled,
          isMore: events.isMore,
          ...(events.oldest ? { oldest: events.oldest.toISOString() } : {}),
        }
      : { unavailable: waiting.why },
    circuitBreaker: circuit.value ?? { unavailable: circuit.why },
    quota: quota.value ?? { unavailable: quota.why },
    lastAudit: newest ? runDocument(newest) : null,
    ...(running ? { runningAudit: runDocument(running) } : {}),
    rejectedLastDay: rejected.value ?? { unavailable: rejected.why },
    pending: pending.value
      ? {
          devices: pending.value.devices.map(({ id }) => id),
          batches: pending.value.batches.map(({ id }) => id),
          isMore: pending.value.isMore,
        }
      : { unavailable: pending.why },
  };
}
