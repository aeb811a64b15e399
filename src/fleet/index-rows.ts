import type { Row, Values } from '../storage/tables.ts';
import type { AuditFacts, FleetEntry, Labels, LedgerFacts, RegistrationStatus } from './fleet-entry.ts';
import { type IndexName, indexPartition, indexRowKey, searchRowKey } from './index-keys.ts';

/** A row of the index: what a list shows of a device or batch, wherever it is listed. */
export interface IndexRow {
  readonly partition: string;
  readonly rowKey: string;
  readonly values: Values;
}

/** What a list shows: the columns that all rows of an entry carry, so that one query answers a page. */
export interface ListedEntry {
  readonly id: string;
  readonly deviceId?: string;
  readonly product?: string;
  readonly batch?: string;
  readonly group?: string;
  readonly labels: Labels;
  readonly life: string;
  readonly held: boolean;
  readonly heldReason?: string;
  readonly pending: boolean;
  readonly state?: RegistrationStatus;
  readonly waiting: boolean;
  readonly hub?: string;
  readonly findings: readonly string[];
  readonly definedAt?: string;
  readonly registeredAt?: string;
  readonly counts?: AuditFacts['counts'];
}

/** A property holds 32,000 characters; the details of findings are cut before that. */
const longestFacts = 30_000;

/** All rows of an entry: pure, so that what changed is the difference of two calls. */
export function indexRowsOf(entry: FleetEntry): IndexRow[] {
  const { kind, id, ledger, audit } = entry;
  const values = columnsOf(entry);
  const rows: IndexRow[] = [];
  const list = (index: IndexName, value?: string) =>
    rows.push({ partition: indexPartition(kind, index, value), rowKey: indexRowKey(id), values });
  const listIf = (index: IndexName, value: string | undefined) => {
    if (value !== undefined && value !== '') {
      list(index, value);
    }
  };
  listIf('product', ledger.product);
  listIf('batch', ledger.batch);
  listIf('group', ledger.group);
  listIf('hub', audit?.hub);
  listIf('state', audit?.state);
  list('life', ledger.life);
  for (const [name, value] of Object.entries(ledger.labels)) {
    list('label', labelKey(name, value));
  }
  for (const code of new Set(audit?.findings.map((finding) => finding.code))) {
    list('finding', code);
  }
  if (ledger.held) {
    list('held');
  }
  if (ledger.pendingSince !== undefined) {
    list('pending');
  }
  if (audit?.waiting) {
    list('waiting');
  }
  const search = indexPartition(kind, 'search');
  const searchKeys = new Set(termsOf(entry).map((term) => searchRowKey(term, id)));
  for (const rowKey of searchKeys) {
    rows.push({ partition: search, rowKey, values });
  }
  return rows;
}

/** The row that holds the entry itself, and lists all by id. It is written last. */
export function mainRowOf(entry: FleetEntry): IndexRow {
  const { kind, id } = entry;
  return {
    partition: indexPartition(kind, 'all'),
    rowKey: indexRowKey(id),
    values: { ...columnsOf(entry), ledger: JSON.stringify(entry.ledger), audit: auditText(entry.audit) },
  };
}

export function entryOf(kind: FleetEntry['kind'], row: Row): FleetEntry {
  const { id, ledger, audit } = row.values;
  return {
    kind,
    id: String(id),
    ledger: JSON.parse(String(ledger)) as LedgerFacts,
    ...(typeof audit === 'string' ? { audit: JSON.parse(audit) as AuditFacts } : {}),
  };
}

export function listedOf({ values }: Row): ListedEntry {
  const text = (name: string) => (typeof values[name] === 'string' ? { [name]: String(values[name]) } : {});
  return {
    id: String(values.id),
    ...text('deviceId'),
    ...text('product'),
    ...text('batch'),
    ...text('group'),
    labels: JSON.parse(String(values.labels ?? '{}')) as Labels,
    life: String(values.life),
    held: values.held === true,
    ...text('heldReason'),
    pending: values.pending === true,
    ...(typeof values.state === 'string' ? { state: values.state as RegistrationStatus } : {}),
    waiting: values.waiting === true,
    ...text('hub'),
    findings: String(values.findings ?? '')
      .split(' ')
      .filter(Boolean),
    ...text('definedAt'),
    ...text('registeredAt'),
    ...(typeof values.counts === 'string' ? { counts: JSON.parse(values.counts) } : {}),
  };
}

export function labelKey(name: string, value: string): string {
  return `${name}=${value}`;
}

function columnsOf({ id, ledger, audit }: FleetEntry): Values {
  return {
    id,
    deviceId: ledger.deviceId,
    product: ledger.product,
    batch: ledger.batch,
    group: ledger.group,
    labels: Object.keys(ledger.labels).length > 0 ? JSON.stringify(ledger.labels) : undefined,
    life: ledger.life,
    held: ledger.held,
    heldReason: ledger.heldReason,
    pending: ledger.pendingSince !== undefined,
    state: audit?.state,
    waiting: audit?.waiting === true,
    hub: audit?.hub,
    findings: audit?.findings.map(({ code }) => code).join(' '),
    definedAt: ledger.definedAt,
    registeredAt: audit?.registeredAt,
    counts: audit?.counts ? JSON.stringify(audit.counts) : undefined,
  };
}

function termsOf({ id, ledger }: FleetEntry): string[] {
  return [id, ledger.deviceId ?? '', ...Object.values(ledger.labels)].filter((term) => term !== '');
}

function auditText(audit: AuditFacts | undefined): string | undefined {
  if (!audit) {
    return undefined;
  }
  const text = JSON.stringify(audit);
  if (text.length <= longestFacts) {
    return text;
  }
  const findings = audit.findings.map((finding) => ({ ...finding, detail: finding.detail.slice(0, 500) }));
  return JSON.stringify({ ...audit, findings, history: audit.history.slice(-5) });
}
