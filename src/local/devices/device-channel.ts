import type { SoftwareTpm } from './software-tpm.ts';

export type DeviceCredential =
  | { readonly kind: 'symmetricKey'; readonly key: string }
  /** PEM; the chain, leaf first. */
  | { readonly kind: 'x509'; readonly chain: string; readonly privateKey: string }
  | { readonly kind: 'tpm'; readonly tpm: SoftwareTpm };

/** What DPS says to a device, over whatever protocol. */
export interface DeviceResponse {
  /** As in HTTP. */
  readonly status: number;
  readonly retryAfterInSeconds: number | undefined;
  readonly body: DeviceResponseBody;
}

/** Members of all bodies of the device API; see the specification of the runtime registration. */
export interface DeviceResponseBody {
  readonly operationId?: string;
  readonly status?: string;
  readonly registrationState?: {
    readonly assignedHub?: string;
    readonly deviceId?: string;
    readonly substatus?: string;
    readonly errorCode?: number;
    readonly errorMessage?: string;
    readonly tpm?: { readonly authenticationKey?: string };
    /** A member of a group is told its group. */
    readonly x509?: { readonly enrollmentGroupId?: string };
    readonly symmetricKey?: { readonly enrollmentGroupId?: string };
  };
  readonly errorCode?: number;
  readonly message?: string;
  readonly trackingId?: string;
  /** Base64: the key that was sealed for the device's TPM. */
  readonly authenticationKey?: string;
}

/** A device's line to DPS. */
export interface DeviceChannel {
  register(body: object, token?: string): Promise<DeviceResponse>;
  operationStatus(operationId: string, token?: string): Promise<DeviceResponse>;
  close(): Promise<void>;
}
