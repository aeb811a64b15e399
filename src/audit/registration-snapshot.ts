import type { DeviceRegistrationState, IndividualEnrollment } from '../dps/models.ts';
import { sha256 } from '../events/event-identity.ts';
import { type Change, odata, type Row, type Table, type Values } from '../storage/tables.ts';

/** What the last audit saw of one registration id in DPS. */
export interface Snapshot {
  readonly id: string;
  /** The run that saw the record, or the enrollment, last. */
  readonly runId: string;
  readonly status: string | undefined;
  readonly assignedHub: string | undefined;
  readonly deviceId: string | undefined;
  readonly errorCode: number | undefined;
  readonly errorMessage: string | undefined;
  readonly lastUpdated: string | undefined;
  /** Of individual enrollments: when the registration state was asked for last. */
  readonly checkedAt: string | undefined;
}

const changesPerTransaction = 100;
export const individualBuckets = 256;

/** The audit's picture of DPS registration states in Table Storage. Ids are in lower case. */
export class RegistrationSnapshot {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  async saveGroupPage(
    groupId: string,
    runId: string,
    states: readonly DeviceRegistrationState[],
  ): Promise<void> {
    const rows = states.flatMap((state) =>
      state.registrationId === undefined
        ? []
        : [{ id: state.registrationId.toLowerCase(), values: valuesOf(state, runId) }],
    );
    await this.#save(groupPartition(groupId), rows);
  }

  /** Notes that these enrollments exist, without forgetting what is known of their registration states. */
  async saveEnrollments(runId: string, enrollments: readonly IndividualEnrollment[]): Promise<void> {
    const byBucket = Map.groupBy(enrollments, ({ registrationId }) => individualPartition(registrationId));
    for (const [partition, some] of byBucket) {
      const rows = await Promise.all(
        some.map(async ({ registrationId }) => {
          const id = registrationId.toLowerCase();
          const known = await this.#table.get(partition, id);
          return { id, values: { ...known?.values, runId } as Values };
        }),
      );
      await this.#save(partition, rows);
    }
  }

  async saveIndividualState(
    id: string,
    runId: string,
    state: DeviceRegistrationState | undefined,
    now: Date,
  ): Promise<void> {
    const values = { ...valuesOf(state ?? { status: 'unassigned' }, runId), checkedAt: now.toISOString() };
    await this.#table.upsert(individualPartition(id), id, values);
  }

  async group(groupId: string, id: string): Promise<Snapshot | undefined> {
    return snapshotOf(await this.#table.get(groupPartition(groupId), id));
  }

  async individual(id: string): Promise<Snapshot | undefined> {
    return snapshotOf(await this.#table.get(individualPartition(id), id));
  }

  async bucket(bucket: number): Promise<Snapshot[]> {
    const partition = `i!${bucket.toString(16).padStart(2, '0')}`;
    const found: Snapshot[] = [];
    for await (const row of this.#table.rows(odata`PartitionKey eq ${partition}`)) {
      const snapshot = snapshotOf(row);
      if (snapshot) found.push(snapshot);
    }
    return found;
  }

  /** Rows that this run did not meet: their records are gone from DPS. */
  async dropGroupRowsNotOf(groupId: string, runId: string): Promise<void> {
    await this.#drop(odata`PartitionKey eq ${groupPartition(groupId)} and runId ne ${runId}`);
  }

  async dropBucketRowsNotOf(bucket: number, runId: string): Promise<void> {
    const partition = `i!${bucket.toString(16).padStart(2, '0')}`;
    await this.#drop(odata`PartitionKey eq ${partition} and runId ne ${runId}`);
  }

  async #drop(filter: string): Promise<void> {
    for await (const row of this.#table.rows(filter, ['PartitionKey', 'RowKey']))
      await this.#table.delete(row.partitionKey, row.rowKey);
  }

  async #save(
    partition: string,
    rows: readonly { readonly id: string; readonly values: Values }[],
  ): Promise<void> {
    // A page that was repeated may hold an id twice; a transaction must not.
    const unique = [...new Map(rows.map((row) => [row.id, row])).values()];
    for (let start = 0; start < unique.length; start += changesPerTransaction) {
      const some = unique.slice(start, start + changesPerTransaction);
      const changes = some.map(({ id, values }): Change => ({ kind: 'upsert', rowKey: id, values }));
      await this.#table.transact(partition, changes);
    }
  }
}

function groupPartition(groupId: string): string {
  return `g!${groupId.toLowerCase()}`;
}

function individualPartition(id: string): string {
  return `i!${sha256(id.toLowerCase()).slice(0, 2)}`;
}

function valuesOf(state: DeviceRegistrationState, runId: string): Values {
  return {
    runId,
    status: state.status,
    substatus: state.substatus,
    assignedHub: state.assignedHub,
    deviceId: state.deviceId,
    errorCode: state.errorCode,
    errorMessage: state.errorMessage?.slice(0, 1_000),
    created: state.createdDateTimeUtc,
    lastUpdated: state.lastUpdatedDateTimeUtc,
  };
}

function snapshotOf(row: Row | undefined): Snapshot | undefined {
  if (!row) return undefined;
  const text = (name: string) => (row.values[name] === undefined ? undefined : String(row.values[name]));
  const errorCode = row.values.errorCode;
  return {
    id: row.rowKey,
    runId: text('runId') ?? '',
    status: text('status'),
    assignedHub: text('assignedHub'),
    deviceId: text('deviceId'),
    errorCode: typeof errorCode === 'number' ? errorCode : undefined,
    errorMessage: text('errorMessage'),
    lastUpdated: text('lastUpdated'),
    checkedAt: text('checkedAt'),
  };
}
