import {
  bringsKeys,
  type ManufacturingEvent,
  type SymmetricKeyData,
} from '../../events/manufacturing-event.ts';
import type { ReadEvent } from '../../events/read-event.ts';
import type { EventWarning, Rejection } from '../../events/rejection.ts';
import type { EnrollmentProfiles } from '../ledger/profiles.ts';
import { mergeEvent, mergeLeaf, type Registers } from '../ledger/registers.ts';
import { validateEvent } from './validation.ts';

/** What is to be thought of an event by itself. */
export interface EventEvaluation {
  readonly rejection?: Rejection;
  readonly warnings: readonly EventWarning[];
  /** Absent if it did not even read as one. */
  readonly event?: ManufacturingEvent;
  /** The leaf certificate that it brings: kept whatever becomes of it. */
  readonly leafCertificate?: string;
  readonly suppliedKeys?: SymmetricKeyData;
}

export function evaluateEvent(read: ReadEvent, profiles: EnrollmentProfiles, now: Date): EventEvaluation {
  if (read.kind === 'rejected') {
    return { rejection: read.rejection, warnings: [] };
  }
  const { event, rejections, warnings } = validateEvent(read.event, profiles, now);
  const [rejection] = rejections;
  const { leafCertificate, definition } = event;
  const attestation = definition?.attestation;
  return {
    warnings: [...read.warnings, ...warnings],
    event,
    ...(rejection ? { rejection } : {}),
    ...(leafCertificate === undefined ? {} : { leafCertificate }),
    ...(bringsKeys(attestation) ? { suppliedKeys: attestation } : {}),
  };
}

/** As it is once its sender may not have sent it: then nothing of it is kept, not even its certificate. */
export function evaluatedBySender(
  evaluation: EventEvaluation,
  forbidden: Rejection | undefined,
): EventEvaluation {
  return forbidden ? { rejection: forbidden, warnings: [] } : evaluation;
}

/** All that is wrong with an event, for the sender that waits for the answer; empty if nothing is. */
export function allRejections(
  read: ReadEvent,
  profiles: EnrollmentProfiles,
  now: Date,
): readonly Rejection[] {
  const admitted = read.event ? validateEvent(read.event, profiles, now).rejections : [];
  return read.kind === 'event' ? admitted : [read.rejection, ...read.others, ...admitted];
}

/** The registers with the event; of a rejected one, with no more than its leaf certificate. */
export function mergedRegisters(
  registers: Registers,
  { event, rejection }: EventEvaluation,
  arrivedAt: Date,
): Registers {
  if (!event) {
    return registers;
  }
  return rejection ? mergeLeaf(registers, event) : mergeEvent(registers, event, arrivedAt);
}
