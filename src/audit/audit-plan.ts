import type { SubjectKind } from '../events/manufacturing-event.ts';
import { addedUp } from '../tools/added-up.ts';
import { type AuditCounts, noCounts, sumOf } from './audit-counts.ts';
import type { AuditRun } from './audit-run.ts';
import { findingCodes } from './finding.ts';
import { grantFor, type Lookups, returned } from './lookups.ts';

/**
 * A run goes through stages. A stage has units of work, which workers take one by one and work on at once; the
 * worker that ends the last unit goes on to the next stage. Pure: how it is stored is the run store's matter.
 */
export const stages = ['groups', 'records', 'states', 'devices', 'batches', 'report'] as const;
export type Stage = (typeof stages)[number];

/** Where a unit of work stands. Written after every step, so that any instance can go on from it. */
export type Checkpoint =
  | { readonly phase: 'groups'; readonly chunk: number; readonly continuation?: string }
  /** `chunk`: how many rows of the listing are written. */
  | {
      readonly phase: 'registrations';
      readonly group: string;
      readonly chunk: number;
      readonly continuation?: string;
    }
  | { readonly phase: 'enrollments'; readonly chunk: number; readonly continuation?: string }
  /** The listing beside what the run before has stored, part by part. `bounds`: the first id of each part but the first. */
  | {
      readonly phase: 'comparison';
      /** The partition of the rows. */
      readonly of: string;
      readonly group?: string;
      readonly chunks: number;
      readonly bounds?: readonly string[];
      readonly part: number;
    }
  | { readonly phase: 'unknown'; readonly group: string; readonly after?: string }
  /** `began`: when the states of the rows behind `after` were asked for first; ISO 8601. `passed`: rows before them. */
  | { readonly phase: 'states'; readonly after?: string; readonly passed: number; readonly began?: string }
  | { readonly phase: 'certificates'; readonly partition: number }
  | {
      readonly phase: 'devices';
      readonly after?: string;
      readonly until?: string;
      readonly continuation?: string;
    }
  | { readonly phase: 'batches'; readonly continuation?: string }
  | { readonly phase: 'purge'; readonly kind: SubjectKind; readonly continuation?: string }
  | { readonly phase: 'done' };

/** A unit of work, as far as its worker has got. */
export interface Unit {
  readonly checkpoint: Checkpoint;
  readonly counts: AuditCounts;
  /** What it may look at by id. */
  readonly grant: Lookups;
  /** How often its listing began anew, since DPS did not go on with it. */
  readonly restarts: number;
}

/** Messages that are worked on at once: they wait for DPS and tables most of the time. */
const mostWorkers = 4;

function unitsOf(run: AuditRun, stage: Stage = run.stage): readonly Checkpoint[] {
  switch (stage) {
    case 'groups':
      return [{ phase: 'groups', chunk: 0 }];
    case 'records':
      return [
        { phase: 'enrollments', chunk: 0 },
        ...run.groups.map((group): Checkpoint => ({ phase: 'registrations', group, chunk: 0 })),
      ];
    case 'states':
      return [
        { phase: 'states', passed: 0 },
        { phase: 'certificates', partition: 0 },
      ];
    case 'devices':
      return [...run.divisions, undefined].map((until, index) => {
        const after = run.divisions[index - 1];
        return {
          phase: 'devices',
          ...(after === undefined ? {} : { after }),
          ...(until === undefined ? {} : { until }),
        };
      });
    case 'batches':
      return [{ phase: 'batches' }, { phase: 'purge', kind: 'device' }];
    default:
      return [];
  }
}

/** Whether any unit was taken. */
export function hasBegun({ stage, nextUnit }: AuditRun): boolean {
  return stage !== 'groups' || nextUnit > 0;
}

/** Taken by a worker: the next unit of the stage; undefined: all are taken. */
export function claimed(run: AuditRun): { readonly run: AuditRun; readonly unit: Unit } | undefined {
  const checkpoint = unitsOf(run)[run.nextUnit];
  if (!checkpoint) {
    return undefined;
  }
  const grant = grantFor(Math.max(1, run.workers.length), findingCodes, {
    granted: run.granted,
    used: run.lookups,
  });
  return {
    run: { ...run, nextUnit: run.nextUnit + 1, granted: addedUp(run.granted, grant) },
    unit: { checkpoint, counts: noCounts, grant, restarts: 0 },
  };
}

/** The run with what a unit that is done has counted. */
export function completed(run: AuditRun, { counts, grant }: Unit): AuditRun {
  return { ...run, ...sumOf(run, counts), granted: returned(run.granted, grant, counts.lookups) };
}

/** A worker finds nothing left to take: the last one that does goes on to the next stage. */
export function left(run: AuditRun, worker: number): AuditRun {
  const workers = run.workers.filter((each) => each !== worker);
  return workers.length > 0 ? { ...run, workers } : nextStage(run, worker);
}

function nextStage(ended: AuditRun, worker: number): AuditRun {
  const run = ended.stage === 'groups' ? withGone(ended) : ended;
  const stage = stages[stages.indexOf(run.stage) + 1] ?? 'report';
  const units = unitsOf(run, stage).length;
  const others = Array.from({ length: mostWorkers }, (_, each) => each).filter((each) => each !== worker);
  const toStart = others.slice(0, Math.max(0, units - 1));
  return { ...run, stage, nextUnit: 0, workers: [worker, ...toStart], toStart };
}

/** Once the groups have been listed. */
function withGone(run: AuditRun): AuditRun {
  const there = new Set(run.groups);
  const gone = Object.entries(run.goneGroups).filter(([id]) => !there.has(id));
  return { ...run, goneGroups: Object.fromEntries(gone) };
}
