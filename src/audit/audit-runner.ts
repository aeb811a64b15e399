import type { Clock } from '../clock.ts';
import { RetryLaterError } from '../enrollment/dps-access/retry-later-error.ts';
import { subjectOf } from '../enrollment/ledger/ledger.ts';
import type { BackgroundQueue } from '../enrollment/pipeline/background-queue.ts';
import type { EventBus } from '../events/event-bus.ts';
import type { FleetIndex } from '../fleet/fleet-index.ts';
import type { Log } from '../log.ts';
import { StorageUnavailableError } from '../storage/tables.ts';
import type { AuditPhases } from './audit-phases.ts';
import { type AuditRun, newRun } from './audit-run.ts';
import type { AuditStore } from './audit-store.ts';
import { isOfUnknown } from './finding.ts';
import { weekBefore } from './finding-changes.ts';
import { withSums } from './finding-tally.ts';
import { AuditFailedError } from './listing.ts';

/** A slice ends after so long, and the next one goes on from its checkpoint: no invocation runs for ever. */
const sliceInMs = 60_000;
const pauseAfterFailureInMs = 60_000;
/** As many as the trend shows. */
const runsCompared = 30;

export interface AuditRunnerParts {
  readonly store: AuditStore;
  readonly phases: AuditPhases;
  readonly background: BackgroundQueue;
  readonly bus: EventBus;
  readonly fleet: FleetIndex;
  readonly clock: Clock;
  readonly log: Log;
  /** Where people open a run's report. */
  readonly reportAddress: (runId: string) => string;
}

/** Takes a run from its start to its report, in slices chained through the background queue. */
export class AuditRunner {
  readonly #parts: AuditRunnerParts;

  constructor(parts: AuditRunnerParts) {
    this.#parts = parts;
  }

  /** Throws an AuditRunningError if a run is going on already. */
  async start(): Promise<AuditRun> {
    const { store, background, clock } = this.#parts;
    const before = await store.newestFinished();
    const run = newRun(clock.now(), (before?.number ?? 0) + 1);
    await store.begin(run, clock.now());
    await background.continueAudit(run.id, 1);
    return run;
  }

  async slice(runId: string, slice: number): Promise<void> {
    const { store, phases, background, clock, log } = this.#parts;
    let run = await store.readWhole(runId);
    if (run?.status !== 'running') {
      return;
    }
    const until = clock.now().getTime() + sliceInMs;
    try {
      while (clock.now().getTime() < until) {
        run = await phases.step(run);
        if (run.checkpoint.phase === 'report') {
          return await this.#finish(run);
        }
        if (!(await store.save(run, clock.now()))) {
          return;
        }
      }
    } catch (error) {
      if (error instanceof AuditFailedError && run) {
        return await this.#fail(run, error.message);
      }
      if (!(error instanceof RetryLaterError) && !(error instanceof StorageUnavailableError)) {
        throw error;
      }
      log('warning', 'audit-waits', { runId, why: error.message });
      const notBefore = new Date(clock.now().getTime() + pauseAfterFailureInMs);
      return background.continueAudit(runId, slice + 1, notBefore);
    }
    await background.continueAudit(runId, slice + 1);
  }

  async #fail(run: AuditRun, detail: string): Promise<void> {
    const { store, clock, log } = this.#parts;
    const now = clock.now();
    await store.save({ ...run, status: 'failed', finishedAt: now.toISOString(), detail }, now);
    log('error', 'audit-failed', { runId: run.id, why: detail });
  }

  async #finish(run: AuditRun): Promise<void> {
    const { store, bus, clock, log, fleet, reportAddress } = this.#parts;
    const now = clock.now();
    const finishedAt = now.toISOString();
    for await (const { code, subject } of store.resolveOthers(run, now)) {
      if (isOfUnknown(code)) {
        await fleet.forget(subjectOf('device', subject));
      }
    }
    const before = weekBefore(run, await store.finished(runsCompared));
    const open = await store.countOpen(run, finishedAt);
    const counts = withSums(open.result(), run.tallies);
    const changes =
      before?.finishedAt === undefined
        ? undefined
        : await store.countChanges({ id: before.id, finishedAt: before.finishedAt }, finishedAt, {
            before: before.counts,
            now: counts,
          });
    const finished: AuditRun = {
      ...run,
      summary: { ...run.summary, examples: open.examples() },
      status: 'finished',
      finishedAt,
      counts,
      ...(changes ? { changes } : {}),
    };
    if (!(await store.save(finished, now))) {
      return;
    }
    await store.saveNewest(finished);
    const { critical } = counts;
    const summary = { runId: run.id, operations: run.operations, findings: counts.open, critical };
    log(critical > 0 ? 'error' : 'information', critical > 0 ? 'audit-critical' : 'audit-completed', summary);
    await bus.publish({
      specversion: '1.0',
      id: run.id,
      source: '/enrollment',
      type: 'audit.completed',
      subject: run.id,
      time: now.toISOString(),
      datacontenttype: 'application/json',
      data: {
        run: run.id,
        report: reportAddress(run.id),
        scanned: run.scanned,
        states: run.states,
        findings: counts.open,
        critical,
        byCode: counts.byCode,
        ...(changes ? { changes } : {}),
      },
    });
  }
}
