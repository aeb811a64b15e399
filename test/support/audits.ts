import { AuditPhases } from '../../src/audit/audit-phases.ts';
import { claimed, completed, left, type Stage, type Unit } from '../../src/audit/audit-plan.ts';
import { AuditRetention } from '../../src/audit/audit-retention.ts';
import { type AuditRun, newRun } from '../../src/audit/audit-run.ts';
import { CertificateRegister } from '../../src/audit/certificate-register.ts';
import { type DpsCapacity, dpsCapacity } from '../../src/audit/dps-capacity.ts';
import type { FindingCode, ReportedFinding } from '../../src/audit/finding.ts';
import { RecordListing } from '../../src/audit/record-listing.ts';
import { RegistrationSnapshot } from '../../src/audit/registration-snapshot.ts';
import { deriveDeviceKey } from '../../src/dps/device-key.ts';
import type { DeviceCredential } from '../../src/local/devices/device-channel.ts';
import { provisioningOf } from '../../src/local/devices/provisioning.ts';
import { type RegistrationResult, registerDevice } from '../../src/local/devices/simulated-device.ts';
import type { AppInstance } from './app-instance.ts';
import { type Chain, eventually } from './chain.ts';

export class Audited {
  readonly run: AuditRun;
  readonly findings: readonly ReportedFinding[];

  constructor(run: AuditRun, findings: readonly ReportedFinding[]) {
    this.run = run;
    this.findings = findings;
  }

  of(code: FindingCode): ReportedFinding[] {
    return this.findings.filter((each) => each.code === code);
  }

  subjects(code: FindingCode): string[] {
    return this.of(code).map(({ subject }) => subject);
  }

  detail(code: FindingCode, subject: string): string | undefined {
    return this.of(code).find((each) => each.subject === subject)?.detail;
  }
}

/** A run as the app makes it, through the background queue. */
export async function audit({ services }: AppInstance, timeoutInMs?: number): Promise<Audited> {
  const { id } = await services.auditRunner.start();
  const run = await eventually(
    async () => {
      const read = await services.auditStore.read(id);
      return read?.status === 'finished' && read;
    },
    'the audit finishes',
    timeoutInMs,
  );
  return new Audited(run, await services.findings.findingsOf(run));
}

/** The phases of the app, step by step. */
export function phasesOf(
  { services }: AppInstance,
  capacity: DpsCapacity = dpsCapacity,
  checksPerStep = 500,
): AuditPhases {
  const { dps, throttledDps, ledger, profiles, background, rejectedEvents, clock } = services;
  const table = services.table('registrationStates');
  return new AuditPhases({
    ...{ dps, throttledDps, ledger, profiles, background, rejectedEvents, clock, capacity, checksPerStep },
    findings: services.findings,
    listing: new RecordListing(table),
    fleet: services.fleetIndex,
    snapshot: new RegistrationSnapshot(table),
    certificates: new CertificateRegister(table),
    retention: new AuditRetention(services.table('auditRuns'), services.findings),
    retentionDays: 400,
  });
}

/** A run of this number, as one worker alone would work on it: the units one by one, until a stage begins. */
export async function workThrough(
  begun: AuditRun,
  step: (run: AuditRun, unit: Unit) => Promise<Unit>,
  until: Stage = 'report',
): Promise<AuditRun> {
  let run = begun;
  while (run.stage !== until) {
    const alone = { ...run, workers: [0] };
    const claim = claimed(alone);
    if (!claim) {
      run = left(alone, 0);
      continue;
    }
    run = completed(claim.run, await unitThrough(claim.unit, (unit) => step(claim.run, unit)));
  }
  return run;
}

async function unitThrough(begun: Unit, step: (unit: Unit) => Promise<Unit>): Promise<Unit> {
  let unit = begun;
  while (unit.checkpoint.phase !== 'done') {
    unit = await step(unit);
  }
  return unit;
}

export function numbered(number: number, now: Date): AuditRun {
  return { ...newRun(now), number };
}

/** A run whose every step is made twice, as if each had been stopped before its checkpoint was saved. */
export async function auditWithRepeats(
  instance: AppInstance,
  number: number,
  capacity?: DpsCapacity,
): Promise<Audited> {
  const phases = phasesOf(instance, capacity);
  const { findings, clock } = instance.services;
  const run = await workThrough(numbered(number, clock.now()), async (before, unit) => {
    await phases.step(before, unit);
    return phases.step(before, unit);
  });
  const finishedAt = clock.now().toISOString();
  for await (const _ of findings.resolveOthers(run, finishedAt)) {
  }
  const finished: AuditRun = { ...run, status: 'finished', finishedAt };
  return new Audited(finished, await findings.findingsOf(finished));
}

/** Switches a device on that has a symmetric key: its own, or one that its group's is derived to. */
export async function switchOn(chain: Chain, id: string, group?: string): Promise<RegistrationResult> {
  const { symmetricKey } =
    group === undefined
      ? await chain.dps.individualEnrollments.getAttestationMechanism(id)
      : await chain.dps.enrollmentGroups.getAttestationMechanism(group);
  const key = symmetricKey?.primaryKey ?? '';
  return register(chain, id, {
    kind: 'symmetricKey',
    key: group === undefined ? key : deriveDeviceKey(key, id),
  });
}

function register(chain: Chain, id: string, credential: DeviceCredential): Promise<RegistrationResult> {
  return registerDevice(id, credential, provisioningOf(chain.stack.endpoints));
}
