import type { TokenCredential } from '@azure/core-auth';
import type { TableClient, TableEntity, TransactionAction } from '@azure/data-tables';
import { chunksOf } from '../tools/in-parallel.ts';

const changesPerTransaction = 100;

/** What an entity of ours holds besides its keys. Undefined members are left out. */
export type Values = Record<string, string | number | boolean | Date | undefined>;

export interface Row {
  readonly partitionKey: string;
  readonly rowKey: string;
  readonly etag: string;
  readonly values: Readonly<Record<string, unknown>>;
}

export type Change =
  | { readonly kind: 'insert'; readonly rowKey: string; readonly values: Values }
  /** The etag is required: without one a transaction's update silently means `*`. */
  | { readonly kind: 'replace'; readonly rowKey: string; readonly values: Values; readonly etag: string }
  | { readonly kind: 'upsert'; readonly rowKey: string; readonly values: Values }
  /** Of a row that is there, what these values do not name stays. */
  | { readonly kind: 'merge'; readonly rowKey: string; readonly values: Values }
  | { readonly kind: 'delete'; readonly rowKey: string; readonly etag: string };

export interface Page {
  readonly rows: readonly Row[];
  readonly continuation?: string;
}

/** Somebody else wrote first: read again and decide again. */
export class RowConflictError extends Error {
  override name = 'RowConflictError';
}

/** Table Storage does not answer, or throttles: try later. */
export class StorageUnavailableError extends Error {
  override name = 'StorageUnavailableError';
}

export type TableAccess =
  | { readonly connectionString: string }
  | { readonly endpoint: string; readonly credential: () => Promise<TokenCredential> };

/** One table of Table Storage. The table is made on first use where it is missing. */
export class Table {
  readonly #name: string;
  readonly #access: TableAccess;
  #client: Promise<TableClient> | undefined;
  #making: Promise<void> | undefined;

  constructor(name: string, access: TableAccess) {
    this.#name = name;
    this.#access = access;
  }

  async get(partitionKey: string, rowKey: string): Promise<Row | undefined> {
    try {
      return rowOf(
        await this.#run((client) => client.getEntity<Record<string, unknown>>(partitionKey, rowKey)),
      );
    } catch (error) {
      if (statusOf(error) === 404) {
        return undefined;
      }
      throw error;
    }
  }

  /** Resolves to the new etag. */
  async insert(partitionKey: string, rowKey: string, values: Values): Promise<string> {
    const done = await this.#run((client) => client.createEntity(entityOf(partitionKey, rowKey, values)));
    return done.etag ?? '*';
  }

  async replace(partitionKey: string, rowKey: string, values: Values, etag: string): Promise<string> {
    const entity = entityOf(partitionKey, rowKey, values);
    const done = await this.#run((client) => client.updateEntity(entity, 'Replace', { etag }));
    return done.etag ?? '*';
  }

  async upsert(partitionKey: string, rowKey: string, values: Values): Promise<void> {
    await this.#run((client) => client.upsertEntity(entityOf(partitionKey, rowKey, values), 'Replace'));
  }

  /** Deleting what is not there is no error. */
  async delete(partitionKey: string, rowKey: string, etag = '*'): Promise<void> {
    try {
      await this.#run((client) => client.deleteEntity(partitionKey, rowKey, { etag }));
    } catch (error) {
      if (statusOf(error) !== 404) {
        throw error;
      }
    }
  }

  /** All or nothing, in one partition; at most 100 changes. Resolves to the new etags, in order. */
  async transact(partitionKey: string, changes: readonly Change[]): Promise<string[]> {
    const actions = changes.map((change) => actionOf(partitionKey, change));
    const done = await this.#run((client) => client.submitTransaction(actions));
    return done.subResponses.map(({ etag }) => etag ?? '*');
  }

  /** Any number of changes of one partition, a hundred to a transaction. */
  async transactAll(partitionKey: string, changes: readonly Change[]): Promise<void> {
    for (const some of chunksOf(changes, changesPerTransaction)) {
      await this.transact(partitionKey, some);
    }
  }

  async page(
    filter: string,
    options: {
      readonly size?: number;
      readonly continuation?: string | undefined;
      readonly select?: string[];
    } = {},
  ): Promise<Page> {
    return this.#run(async (client) => {
      const queryOptions = { filter, ...(options.select ? { select: options.select } : {}) };
      const pages = client.listEntities<Record<string, unknown>>({ queryOptions }).byPage({
        maxPageSize: Math.min(options.size ?? 1_000, 1_000),
        ...(options.continuation === undefined ? {} : { continuationToken: options.continuation }),
      });
      const next = await pages.next();
      if (next.done) {
        return { rows: [] };
      }
      const continuation = (next.value as { continuationToken?: string }).continuationToken;
      const rows = next.value.map(rowOf);
      return continuation === undefined ? { rows } : { rows, continuation };
    });
  }

  /** All rows that fit, page by page. */
  async *rows(filter: string, select?: string[]): AsyncGenerator<Row> {
    let continuation: string | undefined;
    do {
      const page: Page = await this.page(filter, { continuation, ...(select ? { select } : {}) });
      yield* page.rows;
      continuation = page.continuation;
    } while (continuation !== undefined);
  }

  async #run<T>(work: (client: TableClient) => Promise<T>): Promise<T> {
    this.#client ??= this.#open();
    const client = await this.#client;
    try {
      return await work(client);
    } catch (error) {
      if (!isTableMissing(error)) {
        throw translate(error, this.#name);
      }
    }
    this.#making ??= client.createTable();
    await this.#making;
    return work(client).catch((error: unknown) => {
      throw translate(error, this.#name);
    });
  }

  async #open(): Promise<TableClient> {
    const access = this.#access;
    // Not before it is needed: loading the library takes longer than most of our own code.
    const { TableClient } = await import('@azure/data-tables');
    if ('connectionString' in access) {
      return TableClient.fromConnectionString(access.connectionString, this.#name, {
        allowInsecureConnection: true,
      });
    }
    return new TableClient(access.endpoint, this.#name, await access.credential());
  }
}

/** A filter with its values quoted, so that none of them can be taken for more than a text. */
export function odata(parts: TemplateStringsArray, ...values: readonly string[]): string {
  return parts
    .map((part, index) => (index === 0 ? part : `'${values[index - 1]?.replaceAll("'", "''")}'${part}`))
    .join('');
}

function entityOf(
  partitionKey: string,
  rowKey: string,
  values: Values,
): TableEntity<Record<string, unknown>> {
  const entity: TableEntity<Record<string, unknown>> = { partitionKey, rowKey };
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined) {
      entity[name] = value;
    }
  }
  return entity;
}

function rowOf(entity: Record<string, unknown>): Row {
  const { partitionKey, rowKey, etag, timestamp: _, 'odata.metadata': __, ...values } = entity;
  return { partitionKey: String(partitionKey), rowKey: String(rowKey), etag: String(etag), values };
}

function actionOf(partitionKey: string, change: Change): TransactionAction {
  if (change.kind === 'delete') {
    return ['delete', { partitionKey, rowKey: change.rowKey, etag: change.etag }];
  }
  const entity = entityOf(partitionKey, change.rowKey, change.values);
  if (change.kind === 'insert') {
    return ['create', entity];
  }
  if (change.kind === 'merge') {
    return ['upsert', entity, 'Merge'];
  }
  if (change.kind === 'upsert') {
    return ['upsert', entity, 'Replace'];
  }
  return ['update', entity, 'Replace', { etag: change.etag }];
}

/** What the library throws for an answer, or for the lack of one; known by name, since it is loaded late. */
interface ResponseError extends Error {
  readonly statusCode?: number;
  readonly details?: { readonly odataError?: { readonly code?: string } };
}

function isResponseError(error: unknown): error is ResponseError {
  return error instanceof Error && error.name === 'RestError';
}

function statusOf(error: unknown): number | undefined {
  return isResponseError(error) ? error.statusCode : undefined;
}

function isTableMissing(error: unknown): boolean {
  if (!isResponseError(error)) {
    return false;
  }
  // In the answer of a transaction the code is lost, and the text has to do.
  return (
    error.details?.odataError?.code === 'TableNotFound' ||
    /TableNotFound|table specified does not exist/i.test(error.message)
  );
}

function translate(error: unknown, table: string): unknown {
  const status = statusOf(error);
  if (status === 409 || status === 412) {
    return new RowConflictError(`A row of ${table} was written in the meantime.`, { cause: error });
  }
  if (
    status === 404 ||
    (status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429)
  ) {
    return error;
  }
  if (status === undefined && !isResponseError(error)) {
    return error;
  }
  return new StorageUnavailableError(`Table ${table} cannot be used now (${status ?? 'no response'}).`, {
    cause: error,
  });
}
