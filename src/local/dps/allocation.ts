import { createHash } from 'node:crypto';
import { registrationFailures } from './errors.ts';
import type { LinkedHub } from './state.ts';

/** The members of an enrollment that decide about the hub. */
export interface AllocationRules {
  readonly allocationPolicy?: 'hashed' | 'geoLatency' | 'static' | 'custom';
  readonly iotHubs?: readonly string[];
  readonly iotHubHostName?: string;
  readonly customAllocationDefinition?: { readonly webhookUrl: string; readonly apiVersion: string };
}

export interface AllocationFailure {
  readonly errorCode: number;
  readonly errorMessage: string;
}

/** The hubs an enrollment allows: those it names, if they are linked, else all that take part in allocation. */
export function candidateHubs(rules: AllocationRules, linked: readonly LinkedHub[]): LinkedHub[] {
  const named = rules.iotHubs?.length
    ? rules.iotHubs
    : [rules.iotHubHostName].filter((name) => name !== undefined);
  if (named.length === 0) {
    return linked.filter((hub) => hub.applyAllocationPolicy);
  }
  const names = new Set(named.map((name) => name.toLowerCase()));
  return linked.filter((hub) => names.has(hub.hostName.toLowerCase()));
}

/** Allocates by the policies that need no webhook. The instance's default is `hashed`. */
export function allocate(
  rules: AllocationRules,
  registrationId: string,
  hubs: readonly LinkedHub[],
): { hub: string } | AllocationFailure {
  const [first] = hubs;
  if (first === undefined) {
    return failure('noHub');
  }
  if (rules.allocationPolicy === 'static') {
    return hubs.length === 1 ? { hub: first.hostName } : failure('severalHubs');
  }
  if (rules.allocationPolicy !== 'geoLatency') {
    return { hub: byHash(registrationId, hubs) };
  }
  const nearest = Math.min(...hubs.map((hub) => hub.latencyMs));
  return {
    hub: byHash(
      registrationId,
      hubs.filter((hub) => hub.latencyMs === nearest),
    ),
  };
}

export function failure(name: keyof typeof registrationFailures, detail = ''): AllocationFailure {
  const { code, message } = registrationFailures[name];
  return { errorCode: code, errorMessage: `${message}${detail}` };
}

/** Weighted rendezvous hashing: shares as the weights say, and a device moves only if its hub goes or weights change. */
function byHash(registrationId: string, hubs: readonly LinkedHub[]): string {
  const scored = hubs.map((hub) => ({
    hub,
    score: -hub.allocationWeight / Math.log(unitHash(`${registrationId}\n${hub.hostName}`)),
  }));
  return scored.reduce((best, next) => (next.score > best.score ? next : best)).hub.hostName;
}

/** A number between 0 and 1, exclusive. */
function unitHash(text: string): number {
  return (createHash('sha256').update(text.toLowerCase()).digest().readUInt32BE(0) + 0.5) / 2 ** 32;
}
