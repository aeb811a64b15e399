import type { Shown } from '../../src/enrollment/dps-access/reconciler.ts';
import { RemoteEnrollment } from '../../src/enrollment/dps-access/remote-enrollment.ts';
import type { DesiredState } from '../../src/enrollment/ledger/desired-state.ts';
import { emptyState } from '../../src/enrollment/ledger/subject-state.ts';
import type { Services } from '../../src/services.ts';

/** Makes DPS agree as a holder does that knows nothing of it, or that nothing of it is there yet. */
export function reconcile(
  { reconciler }: Services,
  id: string,
  desired: DesiredState,
  { mayExist, deadline = Date.now() + 60_000 }: { readonly mayExist: boolean; readonly deadline?: number },
): Promise<Shown | undefined> {
  const attempt = {
    subject: { kind: 'device' as const, id },
    remote: new RemoteEnrollment(emptyState, { mayExist, verifies: false }),
    deadline,
    suppliedKeys: undefined,
    closed: undefined,
    wasNeverAccepted: !mayExist,
    isWanted: async () => true,
    rememberClosing: async () => {},
  };
  return reconciler.apply(attempt, desired);
}
