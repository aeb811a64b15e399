import type { DeviceRegistrationState, IndividualEnrollment } from '../dps/models.ts';
import { compareText } from '../events/compare-text.ts';
import { sha256 } from '../events/event-identity.ts';
import { deleteRows } from '../storage/delete-rows.ts';
import { type Change, odata, type Page, type Row, type Table, type Values } from '../storage/tables.ts';
import type { AuditRun } from './audit-run.ts';
import { bucketsFilter } from './buckets.ts';
import type { Finding } from './finding.ts';
import { seenBy, seenOf } from './registration-history.ts';

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
  /** The run that saw the record, or the enrollment, last. */
  readonly runId: string;
  readonly errorCode: number | undefined;
  readonly errorMessage: string | undefined;
  readonly created: string | undefined;
  readonly lastUpdated: string | undefined;
  /** What was found in its enrollment when that was scanned. */
  readonly findings: readonly Finding[];
  /** The hub that it was seen assigned to last, and when it had registered for that. */
  readonly lastHub: { readonly name: string; readonly registeredAt: string } | undefined;
  /** When the record was last updated, by the number of the run that saw it. */
  readonly seen: ReadonlyMap<number, string>;
}

export interface ScrappedRegistration {
  /** The event that scrapped the device. */
  readonly scrapping: string;
  /** The hub that its registration record names, if it has one still. */
  readonly assignedHub: string | undefined;
}

const changesPerTransaction = 100;
const individuals = 'i!';
/** From so many on a page of rows is cheaper than each by its id; among too many others it is not. */
const manyIds = 20;
const mostPages = 4;
const recordColumns = [
  'PartitionKey',
  'RowKey',
  'runId',
  'status',
  'assignedHub',
  'deviceId',
  'created',
  'lastUpdated',
];

/** The audit's picture of DPS registration states in Table Storage. Ids are in lower case. */
export class RegistrationSnapshot {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  async saveGroupPage(
    groupId: string,
    run: Pick<AuditRun, 'id' | 'number'>,
    states: readonly DeviceRegistrationState[],
  ): Promise<void> {
    const rows = states.flatMap((state) =>
      state.registrationId === undefined
        ? []
        : [{ id: state.registrationId.toLowerCase(), values: valuesOf(state, run) }],
    );
    await this.#save(groupPartition(groupId), rows);
  }

  /** Notes that these enrollments exist, without forgetting what is known of their registration states. */
  async saveEnrollments(
    runId: string,
    enrollments: readonly IndividualEnrollment[],
    found: ReadonlyMap<string, readonly Finding[]> = new Map(),
  ): Promise<void> {
    const findingsOf = (id: string) => {
      const findings = found.get(id);
      const short = findings?.map((finding) => ({ ...finding, detail: finding.detail.slice(0, 2_000) }));
      return short ? JSON.stringify(short) : '';
    };
    const byBucket = Map.groupBy(enrollments, ({ registrationId }) => individualPartition(registrationId));
    const saved = [...byBucket].map(([partition, some]) =>
      this.#save(
        partition,
        some.map(({ registrationId }) => {
          const id = registrationId.toLowerCase();
          return { id, values: { runId, findings: findingsOf(id) } };
        }),
      ),
    );
    await Promise.all(saved);
  }

  async saveIndividualState(
    id: string,
    run: Pick<AuditRun, 'id' | 'number'>,
    state: DeviceRegistrationState | undefined,
    now: Date,
  ): Promise<Pick<Snapshot, 'status' | 'checkedAt'>> {
    const checkedAt = now.toISOString();
    const values = { ...valuesOf(state ?? { status: 'unassigned' }, run), checkedAt };
    await this.#save(individualPartition(id), [{ id, values }]);
    return { status: state?.status ?? (state ? undefined : 'unassigned'), checkedAt };
  }

  async scrapped(id: string): Promise<ScrappedRegistration | undefined> {
    const row = await this.#table.get(scrappedPartition(id), id);
    return row && { scrapping: String(row.values.scrapping), assignedHub: textOf(row, 'assignedHub') };
  }

  async saveScrapped(id: string, { scrapping, assignedHub }: ScrappedRegistration): Promise<void> {
    await this.#table.upsert(scrappedPartition(id), id, { scrapping, assignedHub });
  }

  async group(groupId: string, id: string): Promise<Snapshot | undefined> {
    return snapshotOf(await this.#table.get(groupPartition(groupId), id));
  }

  /** The records of these devices in a group: few by id, many by the pages of rows that hold them, as far as those are dense. */
  async inGroup(groupId: string, ids: readonly string[]): Promise<ReadonlyMap<string, Snapshot>> {
    const wanted = [...ids].sort(compareText);
    const found = new Map<string, Snapshot>();
    const [first, last] = [wanted[0], wanted.at(-1)];
    let rest = wanted;
    if (wanted.length >= manyIds && first !== undefined && last !== undefined) {
      const filter = odata`PartitionKey eq ${groupPartition(groupId)} and RowKey ge ${first} and RowKey le ${last}`;
      const known = new Set(wanted);
      let continuation: string | undefined;
      for (let page = 0; page < mostPages && rest.length > 0; page++) {
        const read: Page = await this.#table.page(filter, { continuation });
        for (const row of read.rows) {
          const record = known.has(row.rowKey) ? snapshotOf(row) : undefined;
          if (record) {
            found.set(record.id, record);
          }
        }
        continuation = read.continuation;
        const end = read.rows.at(-1)?.rowKey ?? '';
        rest = continuation === undefined ? [] : rest.filter((id) => id > end);
        if (continuation === undefined) {
          break;
        }
      }
    }
    await Promise.all(
      rest.map(async (id) => {
        const record = await this.group(groupId, id);
        if (record) {
          found.set(id, record);
        }
      }),
    );
    return found;
  }

  /** Where a device was seen connected last, whatever its record says now. Its device id keeps its case. */
  async placesOf(
    id: string,
    groupId: string | undefined,
  ): Promise<readonly { readonly hub: string; readonly deviceId: string }[]> {
    const key = id.toLowerCase();
    const rows = await Promise.all([
      this.#table.get(individualPartition(key), key),
      ...(groupId === undefined ? [] : [this.#table.get(groupPartition(groupId), key)]),
    ]);
    return rows.flatMap((row) => {
      const hub = row && textOf(row, 'lastHub');
      const deviceId = row && textOf(row, 'lastDeviceId');
      return hub !== undefined && deviceId !== undefined ? [{ hub: hub.toLowerCase(), deviceId }] : [];
    });
  }

  async individual(id: string): Promise<Snapshot | undefined> {
    return snapshotOf(await this.#table.get(individualPartition(id), id));
  }

  /** The rows of a step's buckets, a list for each. Those that this run did not meet go: their enrollments are gone. */
  async buckets(from: number, atOnce: number, runId: string): Promise<Snapshot[][]> {
    const found = new Map<string, Snapshot[]>();
    for await (const row of this.#table.rows(bucketsFilter(individuals, from, atOnce))) {
      const snapshot = snapshotOf(row);
      const bucket = found.get(row.partitionKey) ?? [];
      found.set(row.partitionKey, bucket);
      if (snapshot?.runId === runId) {
        bucket.push(snapshot);
      } else {
        await this.#table.delete(row.partitionKey, row.rowKey);
      }
    }
    return [...found.values()];
  }

  /** Rows that this run did not meet: their records are gone from DPS. */
  async dropGroupRowsNotOf(groupId: string, runId: string): Promise<void> {
    await deleteRows(this.#table, odata`PartitionKey eq ${groupPartition(groupId)} and runId ne ${runId}`);
  }

  /** A page of a group's records as this run saw them, by id; `after` as the page before gave it. */
  async pageOfGroup(
    groupId: string,
    runId: string,
    after = '',
  ): Promise<{ readonly records: readonly Snapshot[]; readonly after?: string }> {
    const filter = odata`PartitionKey eq ${groupPartition(groupId)} and RowKey gt ${after}`;
    const page = await this.#table.page(filter, { select: recordColumns });
    const records = page.rows.flatMap((row) => {
      const record = snapshotOf(row);
      return record?.runId === runId ? [record] : [];
    });
    const last = page.rows.at(-1)?.rowKey;
    return page.continuation === undefined || last === undefined ? { records } : { records, after: last };
  }

  /** Merged, so that what earlier runs saw stays without being read first. */
  async #save(
    partition: string,
    rows: readonly { readonly id: string; readonly values: Values }[],
  ): Promise<void> {
    // A page that was repeated may hold an id twice; a transaction must not.
    const unique = [...new Map(rows.map((row) => [row.id, row])).values()];
    for (let start = 0; start < unique.length; start += changesPerTransaction) {
      const some = unique.slice(start, start + changesPerTransaction);
      const changes = some.map(({ id, values }): Change => ({ kind: 'merge', rowKey: id, values }));
      await this.#table.transact(partition, changes);
    }
  }
}

function groupPartition(groupId: string): string {
  return `g!${groupId.toLowerCase()}`;
}

function individualPartition(id: string): string {
  return `${individuals}${sha256(id.toLowerCase()).slice(0, 2)}`;
}

function scrappedPartition(id: string): string {
  return `s!${sha256(id).slice(0, 2)}`;
}

/** A merge leaves what is absent as it was: so nothing is. */
function valuesOf(state: DeviceRegistrationState, run: Pick<AuditRun, 'id' | 'number'>): Values {
  return {
    runId: run.id,
    status: state.status ?? '',
    substatus: state.substatus ?? '',
    assignedHub: state.assignedHub ?? '',
    deviceId: state.deviceId ?? '',
    errorCode: state.errorCode ?? 0,
    errorMessage: state.errorMessage?.slice(0, 1_000) ?? '',
    created: state.createdDateTimeUtc ?? '',
    lastUpdated: state.lastUpdatedDateTimeUtc ?? '',
    ...seenBy(run.number, state.lastUpdatedDateTimeUtc),
    ...lastHubOf(state),
  };
}

/** The record of a device that is refused names its hub no more: so that stays until the record has gone. */
function lastHubOf(state: DeviceRegistrationState): Values {
  const { status, assignedHub, lastUpdatedDateTimeUtc, deviceId, registrationId } = state;
  if (status === 'assigned') {
    return {
      lastHub: assignedHub ?? '',
      lastHubAt: lastUpdatedDateTimeUtc ?? '',
      lastDeviceId: deviceId ?? registrationId ?? '',
    };
  }
  return status === 'unassigned' ? { lastHub: '' } : {};
}

function snapshotOf(row: Row | undefined): Snapshot | undefined {
  if (!row) {
    return undefined;
  }
  const { errorCode } = row.values;
  const lastHub = textOf(row, 'lastHub');
  return {
    id: row.rowKey,
    runId: textOf(row, 'runId') ?? '',
    status: textOf(row, 'status'),
    assignedHub: textOf(row, 'assignedHub'),
    deviceId: textOf(row, 'deviceId'),
    errorCode: typeof errorCode === 'number' && errorCode !== 0 ? errorCode : undefined,
    errorMessage: textOf(row, 'errorMessage'),
    created: textOf(row, 'created'),
    lastUpdated: textOf(row, 'lastUpdated'),
    findings: JSON.parse(textOf(row, 'findings') ?? '[]') as Finding[],
    checkedAt: textOf(row, 'checkedAt'),
    lastHub:
      lastHub === undefined ? undefined : { name: lastHub, registeredAt: textOf(row, 'lastHubAt') ?? '' },
    seen: seenOf(row.values),
  };
}

function textOf({ values }: Row, name: string): string | undefined {
  const value = values[name];
  return value === undefined || value === '' ? undefined : String(value);
}
