import { isDpsId } from '../../events/read-event.ts';
import type { EventJson } from '../demo/event-file.ts';

/** A device as the events of its line describe it. */
export interface FleetDevice {
  readonly registrationId: string;
  readonly batch?: string;
  /** PEM. */
  readonly certificate?: string;
}

export interface Fleet {
  readonly devices: readonly FleetDevice[];
  /** PEM, by batch. */
  readonly signingCertificates: ReadonlyMap<string, string>;
}

interface EventData {
  readonly batch?: unknown;
  readonly attestation?: { readonly certificate?: unknown; readonly signingCertificate?: unknown };
}

/** The devices that a file of CloudEvents manufactures, each once; those whose ids DPS cannot have are left out. */
export function fleetOf(events: readonly EventJson[]): Fleet {
  const devices = new Map<string, FleetDevice>();
  const signingCertificates = new Map<string, string>();
  for (const { type, subject, data } of events) {
    const { batch, attestation } = (data ?? {}) as EventData;
    const id = String(subject);
    if (!isDpsId(id)) {
      continue;
    }
    if (String(type).endsWith('device.manufactured')) {
      const certificate = attestation?.certificate;
      devices.set(id.toLowerCase(), {
        registrationId: id,
        ...(typeof batch === 'string' && isDpsId(batch) && { batch }),
        ...(typeof certificate === 'string' && { certificate }),
      });
    }
    if (String(type).endsWith('batch.started') && typeof attestation?.signingCertificate === 'string') {
      signingCertificates.set(id.toLowerCase(), attestation.signingCertificate);
    }
  }
  return { devices: [...devices.values()], signingCertificates };
}
