import { NotFoundError, PreconditionFailedError } from '../../dps/errors.ts';
import type { HubStatus } from '../../hub/hub-identity.ts';
import type { CallerClass } from '../dps-access/quota-window.ts';
import { StateChangedError } from '../dps-access/reconciler.ts';
import { RetryLaterError } from '../dps-access/retry-later-error.ts';
import { type ClosingReason, isOurs, isSameReason, reasonText } from './closing-reason.ts';
import type { Hub, Hubs } from './hubs.ts';

/** Where a device is, or was, connected. Its id there keeps its case. */
export interface Identity {
  readonly hub: string;
  readonly deviceId: string;
}

export interface IdentityCall {
  /** Single devices go before the members of a batch. */
  readonly callerClass: CallerClass;
  readonly deadline: number;
  readonly isWanted: () => Promise<boolean>;
  /** A write of an earlier holder may be under way: what looks right is written again, so that it comes too late. */
  readonly mustWrite: boolean;
  /** Before the first write: it has to be remembered that there may be one. */
  readonly beforeWrite: () => Promise<void>;
}

export interface IdentityResult {
  readonly access: 'open' | 'closed' | 'absent';
  readonly wrote: boolean;
  /** Somebody else has disabled it, and it stays as it is. */
  readonly isForeign?: true;
}

const conflictsAtMost = 8;

/** Opens and closes the identities that devices have in hubs, one at a time, on condition of what was read. */
export class IdentityAccess {
  readonly #hubs: Hubs;

  constructor(hubs: Hubs) {
    this.#hubs = hubs;
  }

  close(identity: Identity, reason: ClosingReason, call: IdentityCall): Promise<IdentityResult> {
    return this.#change(identity, call, async (found) => {
      const { status, statusReason } = found;
      if (status === 'disabled' && !isOurs(statusReason)) {
        return { access: 'closed', isForeign: true };
      }
      if (status === 'disabled' && isSameReason(statusReason, reason) && !call.mustWrite) {
        return { access: 'closed' };
      }
      return { access: 'closed', write: { status: 'disabled', statusReason: reasonText(reason) } };
    });
  }

  /**
   * Opens what we have closed. `standing` says why it has to stay closed all the same: for its batch's sake, or its
   * own. It is asked after the identity was read, so that whoever closes it meanwhile has the last word.
   */
  open(
    identity: Identity,
    standing: () => Promise<ClosingReason | undefined>,
    call: IdentityCall,
  ): Promise<IdentityResult> {
    return this.#change(identity, call, async ({ status, statusReason }) => {
      if (status === 'disabled' && !isOurs(statusReason)) {
        return { access: 'closed', isForeign: true };
      }
      const reason = status === 'disabled' ? await standing() : undefined;
      if (reason) {
        const isSaid = isSameReason(statusReason, reason);
        const write = { status: 'disabled', statusReason: reasonText(reason) } as const;
        return { access: 'closed', ...(isSaid ? {} : { write }) };
      }
      const isOpen = status === 'enabled' && !call.mustWrite;
      return { access: 'open', ...(isOpen ? {} : { write: { status: 'enabled', statusReason: undefined } }) };
    });
  }

  /** Whoever had disabled it: the device is gone for good. */
  remove(identity: Identity, call: IdentityCall): Promise<IdentityResult> {
    return this.#change(identity, call, async () => ({ access: 'absent', write: 'delete' }));
  }

  async #change(
    identity: Identity,
    call: IdentityCall,
    decide: (found: HubStatus) => Promise<Omit<IdentityResult, 'wrote'> & { write?: HubStatus | 'delete' }>,
  ): Promise<IdentityResult> {
    const hub = this.#hubs.of(identity.hub);
    for (let conflicts = 0; conflicts < conflictsAtMost; conflicts++) {
      const found = await ask(hub, call, () => hub.client.get(identity.deviceId));
      if (!found) {
        return { access: 'absent', wrote: false };
      }
      const { write, ...result } = await decide(found);
      if (write === undefined) {
        return { ...result, wrote: false };
      }
      await call.beforeWrite();
      const sent = await ask(hub, call, () =>
        unlessChanged(write === 'delete' ? hub.client.delete(found) : hub.client.update(found, write)),
      );
      if (sent) {
        return { ...result, wrote: true };
      }
    }
    throw new RetryLaterError(`Device ${identity.deviceId} changes too often in hub ${identity.hub}.`);
  }
}

async function ask<T>(
  { throttled }: Hub,
  { callerClass, deadline, isWanted }: IdentityCall,
  operation: () => Promise<T>,
): Promise<T> {
  const response = await throttled.call(callerClass, deadline, async () => [await operation()] as const, {
    isWanted,
  });
  if (!response) {
    throw new StateChangedError('What should be has changed.');
  }
  return response[0];
}

/** False: it has changed, or is gone, since it was read. */
async function unlessChanged(write: Promise<void>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (error instanceof PreconditionFailedError || error instanceof NotFoundError) {
      return false;
    }
    throw error;
  }
}
