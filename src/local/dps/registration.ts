import { randomBytes, randomUUID } from 'node:crypto';
import { type AllocationFailure, type AllocationRules, allocate, candidateHubs } from './allocation.ts';
import { askWebhook, type WebhookDecision } from './allocation-webhook.ts';
import { oldVersion } from './api-versions.ts';
import { type Admission, admitDevice, type DeviceCredentials } from './device-authentication.ts';
import { groupKind, keyOf } from './enrollment-kinds.ts';
import { ServiceError } from './errors.ts';
import { rawEtag } from './etags.ts';
import { writeAssignedIdentity } from './hub/registered-identities.ts';
import type { JsonObject } from './json-input.ts';
import { maxRegistrations, maxRememberedOperations } from './limits.ts';
import { registrationResultText } from './registration-texts.ts';
import type { EmulatorState, StoredRegistration, Substatus } from './state.ts';
import type { TpmChallenges } from './tpm-challenges.ts';

export interface RegistrationContext {
  readonly state: EmulatorState;
  readonly idScope: string;
  readonly challenges: TpmChallenges;
  now(): number;
  timestamp(): string;
  newEtag(): string;
  /** Signs a certificate request: base64 of DER, leaf first. */
  issueCertificate(csr: string, registrationId: string): Promise<string[]>;
}

export interface DeviceCall {
  readonly registrationId: string;
  readonly credentials: DeviceCredentials;
  readonly apiVersion: string;
}

/** What the device API answers: JSON text, and whether it is final (200) or to be asked for again (202). */
export interface OperationResponse {
  readonly isFinal: boolean;
  readonly text: string;
}

interface Operation {
  readonly registrationKey: string;
  /** Undefined while assigning. */
  result: ((isOldVersion: boolean) => string) | undefined;
}

const operationPrefix = `5.${randomBytes(8).toString('hex')}`;

/** Registers devices, and remembers how that went for their status lookups. */
export class Registrations {
  readonly #context: RegistrationContext;
  readonly #operations = new Map<string, Operation>();

  constructor(context: RegistrationContext) {
    this.#context = context;
  }

  forgetAll(): void {
    this.#operations.clear();
  }

  /** @throws ServiceError */
  async register(
    call: DeviceCall,
    body: JsonObject,
    certificateRequest: string | undefined,
  ): Promise<OperationResponse> {
    const { state } = this.#context;
    const admission = admitDevice(call.registrationId, call.credentials, this.#authentication());
    const key = keyOf(call.registrationId);
    if (state.registrations.get(key) === undefined && state.registrations.size >= maxRegistrations) {
      throw new ServiceError('limitReached');
    }
    if (admission.isDisabled) {
      return this.#disable(call, admission);
    }
    const chain =
      certificateRequest && (await this.#context.issueCertificate(certificateRequest, call.registrationId));

    const operationId = `${operationPrefix}.${randomUUID()}`;
    const operation: Operation = { registrationKey: key, result: undefined };
    this.#remember(operationId, operation);
    const proof = this.#proofMember(call, admission);
    const finish = (outcome: Outcome) => {
      // After a reset nobody waits for this any more, and nothing of it may appear.
      if (!this.#operations.has(operationId)) {
        return;
      }
      this.#writeIdentity(call, admission, outcome);
      const registration = this.#commitOutcome(call.registrationId, admission, outcome);
      operation.result = (isOldVersion) =>
        registrationResultText(proof, registration, isOldVersion, chain || undefined);
    };
    const outcome = this.#assign(call.registrationId, admission, body);
    if (outcome instanceof Promise) {
      outcome.then(finish).catch(() => this.#operations.delete(operationId));
    } else {
      finish(outcome);
    }
    return { isFinal: false, text: JSON.stringify({ operationId, status: 'assigning' }) };
  }

  /** @throws ServiceError */
  operationStatus(call: DeviceCall, operationId: string): OperationResponse {
    admitDevice(call.registrationId, call.credentials, this.#authentication());
    const operation = this.#operations.get(operationId);
    if (operation?.registrationKey !== keyOf(call.registrationId)) {
      throw new ServiceError('operationNotFound');
    }
    if (operation.result === undefined) {
      const registrationState = { registrationId: call.registrationId, status: 'assigning' };
      return {
        isFinal: false,
        text: JSON.stringify({ operationId, status: 'assigning', registrationState }),
      };
    }
    const state = operation.result(call.apiVersion === oldVersion);
    const { status } = JSON.parse(state);
    return {
      isFinal: true,
      text: `{"operationId":"${operationId}","status":"${status}","registrationState":${state}}`,
    };
  }

  /** @throws ServiceError */
  status(call: DeviceCall): string {
    const admission = admitDevice(call.registrationId, call.credentials, this.#authentication());
    const registration = this.#context.state.registrations.get(keyOf(call.registrationId));
    if (registration === undefined) {
      throw new ServiceError('registrationNotFound');
    }
    return registrationResultText(attestationMember(admission), registration, call.apiVersion === oldVersion);
  }

  #authentication() {
    const { state, idScope, challenges, now } = this.#context;
    return { state, idScope, now, tpmKeys: (key: string) => challenges.keysOf(key) };
  }

  #remember(operationId: string, operation: Operation): void {
    this.#operations.set(operationId, operation);
    if (this.#operations.size <= maxRememberedOperations) {
      return;
    }
    for (const oldest of this.#operations.keys()) {
      this.#operations.delete(oldest);
      return;
    }
  }

  #disable(call: DeviceCall, admission: Admission): OperationResponse {
    this.#commitOutcome(call.registrationId, admission, { status: 'disabled' });
    const registrationState = { registrationId: call.registrationId, status: 'disabled' };
    return {
      isFinal: true,
      text: JSON.stringify({ operationId: '', status: 'disabled', registrationState }),
    };
  }

  /** For a TPM the final state carries a second sealed key, that for the IoT hub. */
  #proofMember(call: DeviceCall, admission: Admission): Record<string, unknown> {
    if (admission.proof !== 'tpm') {
      return attestationMember(admission);
    }
    return { tpm: { authenticationKey: this.#context.challenges.sealAnother(keyOf(call.registrationId)) } };
  }

  #assign(
    registrationId: string,
    { kind, enrollment, proof }: Admission,
    body: JsonObject,
  ): Outcome | Promise<Outcome> {
    const document = JSON.parse(enrollment.text);
    const rules: AllocationRules & { reprovisionPolicy?: ReprovisionPolicy; deviceId?: string } = document;
    const before = this.#context.state.registrations.get(keyOf(registrationId));
    const policy = rules.reprovisionPolicy ?? { updateHubAssignment: true, migrateDeviceData: true };
    // A device that was assigned keeps its device id; deleting its record makes the next registration a first one.
    const deviceId = before?.deviceId ?? rules.deviceId ?? registrationId;
    const current = before?.assignedHub;
    if (current !== undefined && !policy.updateHubAssignment) {
      return { status: 'assigned', hub: current, deviceId, substatus: 'reprovisionedToInitialAssignment' };
    }
    const settle = (decision: Decision): Outcome =>
      'errorCode' in decision
        ? { status: 'failed', ...decision }
        : { status: 'assigned', deviceId, substatus: substatusOf(current, decision, policy), ...decision };

    const hubs = candidateHubs(rules, this.#context.state.configuration.hubs);
    const webhook = rules.allocationPolicy === 'custom' ? rules.customAllocationDefinition : undefined;
    if (webhook === undefined) {
      return settle(allocate(rules, registrationId, hubs));
    }
    const linkedHubs = hubs.map((hub) => hub.hostName);
    const request = {
      [kind === groupKind ? 'enrollmentGroup' : 'individualEnrollment']: {
        ...document,
        etag: rawEtag(enrollment.etag),
      },
      deviceRuntimeContext: {
        registrationId,
        currentIotHubHostName: current,
        currentDeviceId: before?.deviceId,
        [proof]: {},
        payload: body.payload ?? undefined,
      },
      linkedHubs,
    };
    return askWebhook(webhook.webhookUrl, request, linkedHubs).then(settle);
  }

  /** Before the record: a crash in between leaves an identity that the device's next registration finds. */
  #writeIdentity({ registrationId, credentials }: DeviceCall, admission: Admission, outcome: Outcome): void {
    if (outcome.status !== 'assigned') {
      return;
    }
    const { state, now } = this.#context;
    const { hub, deviceId } = outcome;
    const before = state.registrations.get(keyOf(registrationId));
    const policy: ReprovisionPolicy | undefined = JSON.parse(admission.enrollment.text).reprovisionPolicy;
    const resetsTwin = policy?.updateHubAssignment === true && !policy.migrateDeviceData;
    const previous =
      before?.assignedHub === undefined
        ? undefined
        : { hub: before.assignedHub, deviceId: before.deviceId ?? deviceId };
    writeAssignedIdentity(state, now, {
      ...{ registrationId, deviceId, hub, previous, admission, credentials },
      keepsTwin: !resetsTwin,
    });
  }

  /** The one place where the outcome of a registration is committed, whatever transport the device came by. */
  #commitOutcome(
    registrationId: string,
    { kind, enrollment }: Admission,
    outcome: Outcome,
  ): StoredRegistration {
    const { state } = this.#context;
    const key = keyOf(registrationId);
    const before = state.registrations.get(key);
    // A member of a group that an individual enrollment keeps out stays in the group's list.
    const individualGroup = outcome.status === 'disabled' ? before?.groupKey : undefined;
    const groupKey = kind === groupKind ? enrollment.key : individualGroup;
    const stamp = this.#context.timestamp();
    const isAssigned = outcome.status === 'assigned';
    const registration: StoredRegistration = {
      key,
      sequence: before !== undefined && before.groupKey === groupKey ? before.sequence : state.nextSequence(),
      registrationId,
      groupKey,
      createdDateTimeUtc: before?.createdDateTimeUtc ?? stamp,
      lastUpdatedDateTimeUtc: stamp,
      etag: this.#context.newEtag(),
      status: outcome.status,
      substatus: isAssigned ? outcome.substatus : before?.substatus,
      assignedHub: isAssigned ? outcome.hub : before?.assignedHub,
      deviceId: isAssigned ? outcome.deviceId : before?.deviceId,
      errorCode: outcome.status === 'failed' ? outcome.errorCode : undefined,
      errorMessage: outcome.status === 'failed' ? outcome.errorMessage : undefined,
      payload: isAssigned ? outcome.payload : undefined,
    };
    state.commit({ put: 'registration', registration });
    return registration;
  }
}

interface ReprovisionPolicy {
  readonly updateHubAssignment: boolean;
  readonly migrateDeviceData: boolean;
}

type Decision = { readonly hub: string } | WebhookDecision | AllocationFailure;

type Outcome =
  | {
      readonly status: 'assigned';
      readonly hub: string;
      readonly deviceId: string;
      readonly substatus: Substatus;
      readonly payload?: string | undefined;
    }
  | ({ readonly status: 'failed' } & AllocationFailure)
  | { readonly status: 'disabled' };

function substatusOf(
  current: string | undefined,
  decision: { hub: string; bringsTwin?: boolean },
  policy: ReprovisionPolicy,
): Substatus {
  if (current === undefined) {
    return 'initialAssignment';
  }
  if (current === decision.hub) {
    return 'reprovisionedToInitialAssignment';
  }
  return policy.migrateDeviceData && !decision.bringsTwin ? 'deviceDataMigrated' : 'deviceDataReset';
}

/** An individual symmetric key shows no member; `x509` is there and empty (seen in traffic); groups name themselves. */
function attestationMember({ kind, proof, enrollment }: Admission): Record<string, unknown> {
  const isGroup = kind === groupKind;
  if (!isGroup) {
    return proof === 'x509' ? { x509: {} } : {};
  }
  return { [proof]: { enrollmentGroupId: JSON.parse(enrollment.text).enrollmentGroupId } };
}
