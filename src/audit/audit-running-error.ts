/** Another run is going on. */
export class AuditRunningError extends Error {
  override name = 'AuditRunningError';
  readonly runId: string;

  constructor(runId: string) {
    super(`The audit run ${runId} is going on.`);
    this.runId = runId;
  }
}
