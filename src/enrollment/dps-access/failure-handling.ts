import {
  AlreadyExistsError,
  DeviceProvisioningError,
  ForbiddenError,
  InvalidRequestError,
  NotFoundError,
  PreconditionFailedError,
  ThrottledError,
  UnauthorizedError,
  UnavailableError,
} from '../../dps/errors.ts';

/** What a call that failed means. The README's table is made of this one. */
export interface FailureHandling {
  readonly errorClass: abstract new (...details: never[]) => DeviceProvisioningError;
  /** What becomes of the event. `decided-anew`: DPS holds something else than was thought, so it is read again. */
  readonly event: 'rejected' | 'decided-anew' | 'retrying';
  /** How often the call is made before its event waits outside. */
  readonly tries: number;
  /** After so many in a row the circuit opens. */
  readonly opensAfter: number;
}

const never = Number.POSITIVE_INFINITY;
/** The minute's operations are used up: that is over soon, and no reason to give up a place in the line. */
const untilPatienceEnds = Number.POSITIVE_INFINITY;

export const failureHandling: readonly FailureHandling[] = [
  { errorClass: InvalidRequestError, event: 'rejected', tries: 1, opensAfter: never },
  { errorClass: NotFoundError, event: 'decided-anew', tries: 1, opensAfter: never },
  { errorClass: AlreadyExistsError, event: 'decided-anew', tries: 1, opensAfter: never },
  { errorClass: PreconditionFailedError, event: 'decided-anew', tries: 1, opensAfter: never },
  { errorClass: ThrottledError, event: 'retrying', tries: untilPatienceEnds, opensAfter: never },
  // The client has tried a fresh token already: no other call will fare better.
  { errorClass: UnauthorizedError, event: 'retrying', tries: 1, opensAfter: 1 },
  { errorClass: ForbiddenError, event: 'retrying', tries: 1, opensAfter: 5 },
  { errorClass: UnavailableError, event: 'retrying', tries: 3, opensAfter: 5 },
];

/** Nobody's event is at fault: a proxy on the way answers in DPS's place, say. */
export const otherFailures: FailureHandling = {
  errorClass: DeviceProvisioningError,
  event: 'retrying',
  tries: 3,
  opensAfter: 5,
};

export function handlingOf(failure: DeviceProvisioningError): FailureHandling {
  return failureHandling.find(({ errorClass }) => failure instanceof errorClass) ?? otherFailures;
}
