/** Rules of the algorithm, each taken out of the code: the simulation must notice. `npm run bench simulation` runs them. */
export interface Mutant {
  readonly rule: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** Why the simulation cannot notice, where it cannot. */
  readonly silent?: string;
}

const at = 'src/enrollment/';

export const mutants: readonly Mutant[] = [
  {
    rule: 'a redelivery goes on with the lease of its chain',
    file: `${at}ledger/lease.ts`,
    find: 'return order > 0 || (order === 0 && lease.nonce === undefined);',
    replace: 'return false;',
  },
  {
    rule: 'of one chain the newer delivery has the lease',
    file: `${at}ledger/lease.ts`,
    find: 'const order = claimant.attempt - lease.attempt || claimant.delivery - lease.delivery;',
    replace: 'const order = 1;',
  },
  {
    rule: 'who has lost a lease takes back only what was parked',
    file: `${at}ledger/lease.ts`,
    find: '(hasHeld && lease.nonce !== undefined)',
    replace: 'false',
    silent: 'takes turns with the other holder and loses each time by its etag: more work, the same end',
  },
  {
    rule: 'the state is not older than the events read beside it',
    file: `${at}ledger/ledger.ts`,
    find: 'const isTorn = () =>',
    replace: 'const isTorn = () => false &&',
  },
  {
    rule: 'only the message that holds the keys completes while they are wanted',
    file: `${at}pipeline/merge.ts`,
    find: '(awaited === undefined || awaited === own) &&',
    replace: '',
  },
  {
    rule: 'a message with keys stays alive until they are applied',
    file: `${at}pipeline/merge.ts`,
    find: 'if (own !== undefined && bringsUnappliedKeys(state.registers, own)) {',
    replace: 'if (false) {',
  },
  {
    rule: 'keys whose events ended are forgotten',
    file: `${at}pipeline/finish.ts`,
    find: 'forgetKeys(appliedRegisters(before.registers, desired), keys)',
    replace: 'appliedRegisters(before.registers, desired)',
  },
  {
    rule: 'whoever takes the lease of another doubts what it told DPS',
    file: `${at}pipeline/merge.ts`,
    find: 'return { ...unknown, inDoubt: true };',
    replace: 'return unknown;',
  },
  {
    rule: 'in doubt even what is equal is written',
    file: `${at}dps-access/remote-enrollment.ts`,
    find: 'return (this.#inherited && !this.#isFenced) || (etag !== undefined && this.#lost.has(etag));',
    replace: 'return false;',
  },
  {
    rule: 'after doubt a look follows',
    file: `${at}pipeline/subject-holder.ts`,
    find: "const doubts = remote.inDoubt && findings.desired.kind !== 'nothing';",
    replace: 'const doubts = false;',
  },
  {
    rule: 'the ledger is asked before DPS is told',
    file: `${at}pipeline/subject-holder.ts`,
    find: 'return this.#parts.ledger.isCurrent(hold.view);',
    replace: 'return true;',
    silent: 'the look finds an old state that was written over a new one; until then DPS would be wrong',
  },
  {
    rule: 'an update is made on condition of what was read',
    file: `${at}dps-access/enrollment-writer.ts`,
    find: "write.mode === 'update' ? { ifMatch: write.etag } : {}",
    replace: "write.mode === 'update' ? { ifMatch: '*' } : {}",
  },
  {
    rule: 'keys are read and sent again',
    file: `${at}dps-access/reconciler.ts`,
    find: 'const mechanism = keepsKeys ? await this.#mechanism(attempt) : undefined;',
    replace: 'const mechanism = undefined as { type: string } | undefined;',
  },
  {
    rule: 'outcomes that are due are published by whoever comes',
    file: `${at}pipeline/subject-completion.ts`,
    find: 'if (mayOwe || delivery.errand) {',
    replace: 'if (false) {',
  },
  {
    rule: 'ended events of others are due until their outcomes are out',
    file: `${at}pipeline/subject-holder.ts`,
    find: 'due.length > 0 || keys.some((key) => key !== own) ? [...new Set([...due, ...keys])] : []',
    replace: '[]',
  },
  {
    rule: 'a parked lease has a message to come',
    file: `${at}pipeline/subject-completion.ts`,
    find: 'return this.#again(delivery, held.notBefore, held.error);',
    replace: 'return;',
  },
  {
    rule: 'the body of an event whose message goes is kept',
    file: `${at}pipeline/merge.ts`,
    find: 'return body === undefined ? undefined : { ...current, body };',
    replace: 'return undefined;',
  },
  {
    rule: 'a lease that is over is taken by messages that cannot be completed',
    file: `${at}pipeline/merge.ts`,
    find: 'return cannotBeCompletedYet && isFree;',
    replace: 'return false;',
  },
  {
    rule: 'a look that meets a holder comes again',
    file: `${at}pipeline/subject-completion.ts`,
    find: 'if (isOwn) {',
    replace: 'if (isOwn && false) {',
    silent: 'whoever holds then sends the look again when it ends',
  },
  {
    rule: 'a rejected definition takes its lifecycle along',
    file: `${at}ledger/registers.ts`,
    find: 'filter(({ version }) => version.key !== key);',
    replace: 'filter(() => true);',
  },
  {
    rule: 'a hub is looked at again after it was closed',
    file: `${at}hub-access/subject-hubs.ts`,
    find: 'needsLook: closes && isNews && !wasNeverIn,',
    replace: 'needsLook: false,',
  },
  {
    rule: 'members that registered while they were closed are looked at again',
    file: `${at}hub-access/subject-hubs.ts`,
    find: 'needsLook: closes && isNews && (!members.isLook || members.written > 0),',
    replace: 'needsLook: false,',
  },
  {
    rule: 'what a hub is told is remembered before',
    file: `${at}hub-access/device-hubs.ts`,
    find: 'await task.remember(places);',
    replace: '',
  },
  {
    rule: 'a pass over members is remembered before it begins',
    file: `${at}hub-access/member-hubs.ts`,
    find: 'await task.save(start);',
    replace: '',
  },
  {
    rule: 'an open hub that may be told to close is written to',
    file: `${at}hub-access/identity-access.ts`,
    find: "status === 'enabled' && !call.mustWrite",
    replace: "status === 'enabled'",
  },
  {
    rule: 'a closed hub that may be told to open is written to',
    file: `${at}hub-access/identity-access.ts`,
    find: 'isSameReason(statusReason, reason) && !call.mustWrite',
    replace: 'isSameReason(statusReason, reason)',
  },
  {
    rule: 'a recovery does what it came for, and no more',
    file: `${at}pipeline/merge.ts`,
    find: 'state.pending.length > 0 && state.pendingSince === errand.pendingSince',
    replace: 'state.pending.length > 0',
  },
];
