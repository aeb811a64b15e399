import { type AttestationContext, type ReadAttestation, readAttestation, withKeys } from './attestation.ts';
import { type EnrollmentKind, isValidId, keyOf } from './enrollment-kinds.ts';
import {
  invalid,
  type JsonObject,
  optionalEnum,
  optionalObject,
  optionalString,
  present,
  requiredBoolean,
  requiredString,
} from './json-input.ts';
import type { StoredEnrollment } from './state.ts';

/** Members that only clients of the preview version send and see. */
export const previewMember = 'credentialPolicyName';

const provisioningStatuses = ['enabled', 'disabled'] as const;
const allocationPolicies = ['hashed', 'geoLatency', 'static', 'custom'] as const;
/** IoT Hub's rule for device ids. */
const deviceIdPattern = /^[A-Za-z0-9\-.%_*?!(),:=@$']{1,128}$/;
const webhookApiVersion = /^\d{4}-\d{2}-\d{2}(-preview)?$/;
const oldestWebhookApiVersion = '2018-09-01-preview';

/** An enrollment as a client sent it: checked, nulls dropped, unknown members gone. */
export interface EnrollmentInput {
  readonly kind: EnrollmentKind;
  readonly id: string;
  readonly attestation: ReadAttestation;
  readonly members: JsonObject;
}

export interface InputContext extends AttestationContext {
  readonly isPreview: boolean;
}

/** The id that a body or bulk item gives, in whatever form. */
export function bodyId(kind: EnrollmentKind, body: JsonObject): string {
  return requiredString(body, kind.idMember);
}

/**
 * Checks an enrollment and brings it into the form that is kept.
 * @throws ServiceError `invalidArgument`
 */
export function readEnrollment(body: JsonObject, context: InputContext): EnrollmentInput {
  const { kind } = context;
  const id = bodyId(kind, body);
  if (!isValidId(id)) {
    throw invalid(
      kind.idMember,
      'must be 1 to 128 of A-Z a-z 0-9 - . _ :, with no special character at its ends',
    );
  }
  const individual = kind.name === 'individual';
  return {
    kind,
    id,
    attestation: readAttestation(body, context),
    members: {
      deviceId: individual ? readDeviceId(body) : undefined,
      [previewMember]: context.isPreview ? optionalString(body, previewMember) : undefined,
      optionalDeviceInformation: individual ? optionalObject(body, 'optionalDeviceInformation') : undefined,
      capabilities: readCapabilities(body),
      iotHubHostName: optionalString(body, 'iotHubHostName'),
      initialTwin: readInitialTwin(body),
      provisioningStatus: readProvisioningStatus(body),
      reprovisionPolicy: readReprovisionPolicy(body),
      ...readAllocation(body),
    },
  };
}

/**
 * Writes an enrollment in the service's order of members (seen in recordings).
 * `stateAt` is where the answer of GET by id takes its `registrationState` in.
 */
export function enrollmentTexts(
  { kind, id, attestation, members }: EnrollmentInput,
  stamps: { etag: string; createdDateTimeUtc: string; lastUpdatedDateTimeUtc: string },
): { text: string; stateAt: number; textWithKeys(): string } {
  const individual = kind.name === 'individual';
  const policy = { [previewMember]: members[previewMember] };
  const head = { [kind.idMember]: id, deviceId: members.deviceId, ...(individual ? policy : {}) };
  const document = {
    ...head,
    optionalDeviceInformation: members.optionalDeviceInformation,
    attestation: attestation.shown,
    capabilities: members.capabilities,
    iotHubHostName: members.iotHubHostName,
    ...(individual ? {} : policy),
    initialTwin: members.initialTwin,
    etag: stamps.etag,
    provisioningStatus: members.provisioningStatus,
    reprovisionPolicy: members.reprovisionPolicy,
    createdDateTimeUtc: stamps.createdDateTimeUtc,
    lastUpdatedDateTimeUtc: stamps.lastUpdatedDateTimeUtc,
    allocationPolicy: members.allocationPolicy,
    iotHubs: members.iotHubs,
    customAllocationDefinition: members.customAllocationDefinition,
  };
  const text = JSON.stringify(document);
  return {
    text,
    stateAt: JSON.stringify(head).length - 1,
    textWithKeys: () => {
      const shown = withKeys(attestation.stored, attestation.shown);
      return shown === attestation.shown ? text : JSON.stringify({ ...document, attestation: shown });
    },
  };
}

/** The text of an enrollment for a client of an api-version that knows no preview members. */
export function textForVersion(enrollment: StoredEnrollment, isPreview: boolean): string {
  if (isPreview || !enrollment.text.includes(`"${previewMember}"`)) {
    return enrollment.text;
  }
  return JSON.stringify({ ...JSON.parse(enrollment.text), [previewMember]: undefined });
}

/** The last mention in the text is the member: what clients write freely comes before it. */
export function createdDateTimeUtcOf(text: string): string {
  const start = text.lastIndexOf('"createdDateTimeUtc":"') + '"createdDateTimeUtc":"'.length;
  return text.slice(start, text.indexOf('"', start));
}

export function sameId(left: string, right: string): boolean {
  return keyOf(left) === keyOf(right);
}

function readDeviceId(body: JsonObject): string | undefined {
  const deviceId = optionalString(body, 'deviceId');
  if (deviceId !== undefined && !deviceIdPattern.test(deviceId)) {
    throw invalid('deviceId', 'is no device id of IoT Hub');
  }
  return deviceId;
}

function readCapabilities(body: JsonObject): JsonObject | undefined {
  const capabilities = optionalObject(body, 'capabilities');
  return capabilities && { iotEdge: requiredBoolean(capabilities, 'iotEdge') };
}

/** Twin content is the client's: every key passes through as it is, nulls too. */
function readInitialTwin(body: JsonObject): JsonObject | undefined {
  const twin = optionalObject(body, 'initialTwin');
  if (twin === undefined) {
    return undefined;
  }
  const properties = optionalObject(twin, 'properties');
  return {
    tags: optionalObject(twin, 'tags'),
    properties: properties && { desired: optionalObject(properties, 'desired') },
  };
}

/** The one member whose null is kept and answered; the default is for an absent member only (seen in recordings). */
function readProvisioningStatus(body: JsonObject): string | null {
  if (body.provisioningStatus === null) {
    return null;
  }
  return optionalEnum(body, 'provisioningStatus', provisioningStatuses) ?? 'enabled';
}

function readReprovisionPolicy(body: JsonObject): JsonObject | undefined {
  const policy = optionalObject(body, 'reprovisionPolicy');
  return (
    policy && {
      updateHubAssignment: requiredBoolean(policy, 'updateHubAssignment'),
      migrateDeviceData: requiredBoolean(policy, 'migrateDeviceData'),
    }
  );
}

function readAllocation(body: JsonObject): JsonObject {
  const allocationPolicy = optionalEnum(body, 'allocationPolicy', allocationPolicies);
  const definition = optionalObject(body, 'customAllocationDefinition');
  if (allocationPolicy === 'custom' && definition === undefined) {
    throw invalid('customAllocationDefinition', 'is required by the allocation policy custom');
  }
  return {
    allocationPolicy,
    iotHubs: readHubs(body),
    customAllocationDefinition: definition && readWebhook(definition),
  };
}

function readHubs(body: JsonObject): readonly unknown[] | undefined {
  const hubs = present(body.iotHubs);
  if (hubs === undefined) {
    return undefined;
  }
  const areNames = Array.isArray(hubs) && hubs.every((hub) => typeof hub === 'string' && hub !== '');
  if (!areNames) {
    throw invalid('iotHubs', 'must be an array of host names');
  }
  return hubs;
}

function readWebhook(definition: JsonObject): JsonObject {
  const webhookUrl = requiredString(definition, 'webhookUrl');
  const apiVersion = requiredString(definition, 'apiVersion');
  if (!/^https?:$/.test(URL.parse(webhookUrl)?.protocol ?? '')) {
    throw invalid('webhookUrl', 'must be an http(s) URL');
  }
  if (!webhookApiVersion.test(apiVersion) || apiVersion < oldestWebhookApiVersion) {
    throw invalid('apiVersion', `must be ${oldestWebhookApiVersion} or later`);
  }
  return { webhookUrl, apiVersion };
}
