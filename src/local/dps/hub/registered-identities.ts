import type { Admission, DeviceCredentials } from '../device-authentication.ts';
import { groupKind } from '../enrollment-kinds.ts';
import { isObject, type JsonObject } from '../json-input.ts';
import { deriveDeviceKey } from '../sas.ts';
import type { EmulatorState } from '../state.ts';
import { type Authentication, type StoredTwin, sasCredentials, selfSignedCredentials } from './identity.ts';
import { HubRegistry } from './registry.ts';

export interface AssignedDevice {
  readonly registrationId: string;
  readonly deviceId: string;
  readonly hub: string;
  /** Where it was before; undefined for a first assignment. */
  readonly previous: { readonly hub: string; readonly deviceId: string } | undefined;
  /** Whether its twin stays as it is: else it becomes the enrollment's initial twin. */
  readonly keepsTwin: boolean;
  readonly admission: Admission;
  readonly credentials: DeviceCredentials;
}

/**
 * Writes the identity of a device that was assigned, as DPS does: created with the enrollment's initial twin, moved from the
 * hub where it was, or given its credentials anew, and enabled. Whether DPS leaves a disabled identity disabled is not known;
 * this is the reading that is harder on whoever disables.
 */
export function writeAssignedIdentity(state: EmulatorState, now: () => number, device: AssignedDevice): void {
  const { hub, deviceId, previous, admission } = device;
  const registry = new HubRegistry(hub, state, now);
  const document: JsonObject = JSON.parse(admission.enrollment.text);
  const capabilities = isObject(document.capabilities) ? document.capabilities : {};
  const written = {
    status: 'enabled',
    statusReason: null,
    authentication: authenticationOf(device),
    iotEdge: capabilities.iotEdge === true,
  } as const;
  const here = registry.find(deviceId);
  if (here !== undefined) {
    registry.write(
      written,
      here,
      device.keepsTwin ? here.twin : initialTwin(document, here.twin.version + 1),
    );
    return;
  }
  const elsewhere = previous && previous.hub !== hub ? new HubRegistry(previous.hub, state, now) : undefined;
  const moved = elsewhere?.find(previous?.deviceId ?? '');
  registry.create(deviceId, written, moved && device.keepsTwin ? moved.twin : initialTwin(document, 1));
  if (moved) {
    elsewhere?.delete(moved.deviceId, '*');
  }
}

function initialTwin({ initialTwin: twin }: JsonObject, version: number): StoredTwin {
  const { tags, properties } = isObject(twin) ? twin : {};
  const { desired } = isObject(properties) ? properties : {};
  return { version, tags: isObject(tags) ? tags : {}, desired: isObject(desired) ? desired : {} };
}

function authenticationOf({ registrationId, admission, credentials }: AssignedDevice): Authentication {
  const [leaf] = credentials.chain;
  if (admission.proof === 'x509' && leaf !== undefined) {
    return selfSignedCredentials(leaf.sha256Thumbprint);
  }
  const { attestation } = admission.enrollment;
  if (attestation.type !== 'symmetricKey') {
    return sasCredentials();
  }
  const keyOf = (key: string) =>
    admission.kind === groupKind
      ? deriveDeviceKey(Buffer.from(key, 'base64'), registrationId).toString('base64')
      : key;
  return sasCredentials(keyOf(attestation.primaryKey), keyOf(attestation.secondaryKey));
}
