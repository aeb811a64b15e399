import type { DeviceProvisioningClient } from '../dps/client.ts';
import { DeviceProvisioningError } from '../dps/errors.ts';
import { ifFound } from '../dps/if-found.ts';
import type { DeviceRegistrationState, EnrollmentGroup, IndividualEnrollment } from '../dps/models.ts';
import { RetryLaterError } from '../enrollment/dps-access/retry-later-error.ts';
import type { ThrottledDps } from '../enrollment/dps-access/throttled-dps.ts';
import type { SubjectRef } from '../enrollment/ledger/subject-state.ts';
import { isDpsId } from '../events/read-event.ts';
import type { Clock } from '../tools/clock.ts';

/** Somebody waits for a page: no longer than this for DPS. */
const waitInMs = 5_000;

/** What DPS has of a device or batch; `unknown` says why it could not be read. */
export type DpsView =
  | {
      readonly is: IndividualEnrollment | EnrollmentGroup | undefined;
      readonly did: DeviceRegistrationState | undefined;
      readonly unknown?: undefined;
    }
  | { readonly unknown: RetryLaterError | DeviceProvisioningError };

export interface DpsViewParts {
  readonly dps: DeviceProvisioningClient;
  readonly throttledDps: ThrottledDps;
  readonly clock: Clock;
}

/** Reads DPS for people, within the quota and the circuit breaker like everybody else. */
export async function readDpsView(
  { dps, throttledDps, clock }: DpsViewParts,
  subject: SubjectRef,
): Promise<DpsView> {
  if (!isDpsId(subject.id)) {
    return { is: undefined, did: undefined };
  }
  const deadline = clock.now().getTime() + waitInMs;
  const read = <T>(operation: (options: { abortSignal: AbortSignal }) => Promise<T>) =>
    throttledDps.call('pipeline', deadline, () => {
      const abortSignal = AbortSignal.timeout(waitInMs);
      return ifFound(operation({ abortSignal })).catch((error: unknown) => {
        throw abortSignal.aborted ? new RetryLaterError('DPS did not answer within 5 seconds.') : error;
      });
    });
  const { individualEnrollments, enrollmentGroups, deviceRegistrationStates } = dps;
  try {
    const [is, did] = await Promise.all([
      subject.kind === 'device'
        ? read<IndividualEnrollment | EnrollmentGroup>((options) =>
            individualEnrollments.get(subject.id, options),
          )
        : read<IndividualEnrollment | EnrollmentGroup>((options) =>
            enrollmentGroups.get(subject.id, options),
          ),
      subject.kind === 'device'
        ? read((options) => deviceRegistrationStates.get(subject.id, options))
        : undefined,
    ]);
    return { is, did };
  } catch (error) {
    if (error instanceof RetryLaterError || error instanceof DeviceProvisioningError) {
      return { unknown: error };
    }
    throw error;
  }
}
