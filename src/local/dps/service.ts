import type { Faults } from './faults.ts';
import type { Quota } from './quota.ts';
import type { Registrations } from './registration.ts';
import type { RequestLog } from './request-log.ts';
import type { ServiceAuthorization } from './service-authorization.ts';
import type { EmulatorState } from './state.ts';
import type { TpmChallenges } from './tpm-challenges.ts';

/** What the requests of one emulator share, whatever transport brings them. */
export interface Service {
  readonly state: EmulatorState;
  readonly idScope: string;
  readonly authorization: ServiceAuthorization;
  readonly quota: Quota;
  readonly faults: Faults;
  readonly log: RequestLog;
  readonly registrations: Registrations;
  readonly challenges: TpmChallenges;
  now(): number;
  timestamp(): string;
  newEtag(): string;
}
