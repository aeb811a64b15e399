import type { DeviceRegistrationState } from '../dps/models.ts';
import { deleteRows } from '../storage/delete-rows.ts';
import { rowsOfPartition } from '../storage/rows-of-keys.ts';
import { type Change, odata, type Row, type Table, type Values } from '../storage/tables.ts';
import type { Finding } from './finding.ts';
import type { ListedRecord } from './record-listing.ts';
import { type RegistrationHistory, withSeen } from './registration-history.ts';

/** What became of a device. */
export interface Registration {
  readonly status: string | undefined;
  readonly assignedHub: string | undefined;
  readonly deviceId: string | undefined;
  /** Where it was asked for by id: when that was last. */
  readonly checkedAt: string | undefined;
  readonly created?: string | undefined;
  readonly lastUpdated?: string | undefined;
}

/** What the last audit saw of one registration id in DPS. */
export interface Snapshot extends Registration {
  readonly id: string;
  readonly errorCode: number | undefined;
  readonly errorMessage: string | undefined;
  readonly created: string | undefined;
  readonly lastUpdated: string | undefined;
  /** What was found in its enrollment when that was scanned. */
  readonly findings: readonly Finding[];
  /** The hub that it was seen assigned to last, and when it had registered for that. */
  readonly lastHub: { readonly name: string; readonly registeredAt: string } | undefined;
  readonly history: RegistrationHistory;
}

export interface ScrappedRegistration {
  /** The event that scrapped the device. */
  readonly scrapping: string;
  /** The hub that its registration record names, if it has one still. */
  readonly assignedHub: string | undefined;
}

/** Individual enrollments, by registration id. */
export const individuals = 'i!';
const scrappedDevices = 's!';

/** A row's `record`, in one text: a property more a row costs a page more time than all the rest of it. */
interface StoredRecord {
  readonly status?: string | undefined;
  readonly substatus?: string | undefined;
  readonly assignedHub?: string | undefined;
  readonly deviceId?: string | undefined;
  readonly errorCode?: number | undefined;
  readonly errorMessage?: string | undefined;
  readonly created?: string | undefined;
  readonly lastUpdated?: string | undefined;
  readonly lastHub?: string | undefined;
  readonly lastHubAt?: string | undefined;
  readonly lastDeviceId?: string | undefined;
  readonly history?: RegistrationHistory | undefined;
  readonly checkedAt?: string | undefined;
}

/** The audit's picture of DPS registration states in Table Storage. Ids are in lower case. */
export class RegistrationSnapshot {
  readonly table: Table;

  constructor(table: Table) {
    this.table = table;
  }

  /** Records as an adoption lists them, for the first audit to compare with. */
  async saveGroupPage(
    groupId: string,
    runNumber: number,
    states: readonly DeviceRegistrationState[],
  ): Promise<void> {
    const records = new Map(listedRegistrations(states).map((record) => [record.id, record]));
    await this.#save(
      groupPartition(groupId),
      [...records.values()].map((record) => ({
        id: record.id,
        values: registrationRow(record, undefined, runNumber),
      })),
    );
  }

  /** States of individual enrollments that were asked for, written over the rows that they were read beside. */
  async saveIndividualStates(
    checked: readonly { readonly row: Row; readonly state: DeviceRegistrationState | undefined }[],
    runNumber: number,
    now: Date,
  ): Promise<readonly Row[]> {
    const rows = checked.map(({ row, state }) => {
      const seen = updatedRecord(stateRecord(state ?? { status: 'unassigned' }), recordOf(row), runNumber);
      const record = JSON.stringify({ ...seen, checkedAt: now.toISOString() });
      return { ...row, values: { ...(row.values as Values), record } };
    });
    await this.#save(
      individuals,
      rows.map(({ rowKey, values }) => ({ id: rowKey, values })),
    );
    return rows;
  }

  async scrapped(ids: readonly string[]): Promise<ReadonlyMap<string, ScrappedRegistration>> {
    const rows = await rowsOfPartition(this.table, scrappedDevices, ids);
    return new Map(
      [...rows].map(([id, row]) => [
        id,
        { scrapping: String(row.values.scrapping), assignedHub: textOf(row, 'assignedHub') },
      ]),
    );
  }

  async saveScrapped(id: string, { scrapping, assignedHub }: ScrappedRegistration): Promise<void> {
    await this.table.upsert(scrappedDevices, id, { scrapping, assignedHub });
  }

  async group(groupId: string, id: string): Promise<Snapshot | undefined> {
    const row = await this.table.get(groupPartition(groupId), id);
    return row && snapshotOf(row);
  }

  /** The records of these devices in a group. */
  inGroup(groupId: string, ids: readonly string[]): Promise<ReadonlyMap<string, Snapshot>> {
    return this.#snapshots(groupPartition(groupId), ids);
  }

  /** The rows of these devices among individual enrollments. */
  individuals(ids: readonly string[]): Promise<ReadonlyMap<string, Snapshot>> {
    return this.#snapshots(individuals, ids);
  }

  /** Where a device was seen connected last, whatever its record says now. Its device id keeps its case. */
  async placesOf(
    id: string,
    groupId: string | undefined,
  ): Promise<readonly { readonly hub: string; readonly deviceId: string }[]> {
    const key = id.toLowerCase();
    const rows = await Promise.all([
      this.table.get(individuals, key),
      ...(groupId === undefined ? [] : [this.table.get(groupPartition(groupId), key)]),
    ]);
    return rows.flatMap((row) => {
      const { lastHub, lastDeviceId } = recordOf(row);
      return lastHub !== undefined && lastDeviceId !== undefined
        ? [{ hub: lastHub.toLowerCase(), deviceId: lastDeviceId }]
        : [];
    });
  }

  /** A page of rows among individual enrollments, in the order of their ids. */
  async individualsAfter(
    after: string,
  ): Promise<{ readonly rows: readonly Row[]; readonly isLast: boolean }> {
    const filter = odata`PartitionKey eq ${individuals} and RowKey gt ${after}`;
    const page = await this.table.page(filter);
    return { rows: page.rows, isLast: page.continuation === undefined };
  }

  async forgetGroup(groupId: string): Promise<void> {
    await deleteRows(this.table, odata`PartitionKey eq ${groupPartition(groupId)}`);
  }

  /** A page of a group's records, by id; `after` as the page before gave it. */
  async pageOfGroup(
    groupId: string,
    after = '',
  ): Promise<{ readonly records: readonly Snapshot[]; readonly after?: string }> {
    const filter = odata`PartitionKey eq ${groupPartition(groupId)} and RowKey gt ${after}`;
    const page = await this.table.page(filter);
    const records = page.rows.map(snapshotOf);
    const last = page.rows.at(-1)?.rowKey;
    return page.continuation === undefined || last === undefined ? { records } : { records, after: last };
  }

  async #snapshots(partition: string, ids: readonly string[]): Promise<ReadonlyMap<string, Snapshot>> {
    const rows = await rowsOfPartition(this.table, partition, ids);
    return new Map([...rows].map(([id, row]) => [id, snapshotOf(row)]));
  }

  async #save(
    partition: string,
    rows: readonly { readonly id: string; readonly values: Values }[],
  ): Promise<void> {
    await this.table.transactAll(
      partition,
      rows.map(({ id, values }): Change => ({ kind: 'upsert', rowKey: id, values })),
    );
  }
}

export function groupPartition(groupId: string): string {
  return `g!${groupId.toLowerCase()}`;
}

/** Records of a group as DPS lists them. */
export function listedRegistrations(states: readonly DeviceRegistrationState[]): ListedRecord[] {
  return states.flatMap((state) =>
    state.registrationId === undefined
      ? []
      : [{ id: state.registrationId.toLowerCase(), values: { record: JSON.stringify(stateRecord(state)) } }],
  );
}

/** The row of a record, with what stays of the one that is there. */
export function registrationRow(
  { values }: ListedRecord,
  before: Row | undefined,
  runNumber: number,
): { readonly record: string } {
  const listed = JSON.parse(String(values.record)) as StoredRecord;
  return { record: JSON.stringify(updatedRecord(listed, recordOf(before), runNumber)) };
}

/** The row of an individual enrollment that was listed: what is known of its registration stays. */
export function individualRow({ values }: ListedRecord, before: Row | undefined): Values {
  const record = before?.values.record;
  return typeof record === 'string' ? { ...values, record } : values;
}

export function snapshotOf(row: Row): Snapshot {
  const { status, assignedHub, deviceId, errorCode, errorMessage, created, lastUpdated, ...more } =
    recordOf(row);
  const { findings } = row.values;
  const { lastHub, lastHubAt = '', history = [], checkedAt } = more;
  return {
    id: row.rowKey,
    ...{ status, assignedHub, deviceId, errorCode, errorMessage, created, lastUpdated },
    ...{ checkedAt, history },
    findings: typeof findings === 'string' ? (JSON.parse(findings) as Finding[]) : [],
    lastHub: lastHub === undefined ? undefined : { name: lastHub, registeredAt: lastHubAt },
  };
}

function stateRecord(state: DeviceRegistrationState): StoredRecord {
  return {
    status: state.status,
    substatus: state.substatus,
    assignedHub: state.assignedHub,
    deviceId: state.deviceId,
    errorCode: state.errorCode === 0 ? undefined : state.errorCode,
    errorMessage: state.errorMessage?.slice(0, 1_000),
    created: state.createdDateTimeUtc,
    lastUpdated: state.lastUpdatedDateTimeUtc,
    lastDeviceId: state.status === 'assigned' ? (state.deviceId ?? state.registrationId) : undefined,
  };
}

function updatedRecord(state: StoredRecord, before: StoredRecord, runNumber: number): StoredRecord {
  const history = withSeen(before.history ?? [], runNumber, state.lastUpdated);
  return { ...state, ...lastHubOf(state, before), ...(history.length > 0 ? { history } : {}) };
}

/** The record of a device that is refused names its hub no more: so that stays until the record has gone. */
function lastHubOf(state: StoredRecord, before: StoredRecord): StoredRecord {
  const { status, assignedHub, lastUpdated, lastDeviceId } = state;
  if (status === 'assigned') {
    return { lastHub: assignedHub, lastHubAt: lastUpdated, lastDeviceId };
  }
  const { lastHub, lastHubAt, lastDeviceId: deviceId } = before;
  return { lastHub: status === 'unassigned' ? undefined : lastHub, lastHubAt, lastDeviceId: deviceId };
}

function recordOf(row: Row | undefined): StoredRecord {
  const record = row?.values.record;
  return typeof record === 'string' ? (JSON.parse(record) as StoredRecord) : {};
}

function textOf({ values }: Row, name: string): string | undefined {
  const value = values[name];
  return value === undefined || value === '' ? undefined : String(value);
}
