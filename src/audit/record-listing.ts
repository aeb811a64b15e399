import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { deleteRows } from '../storage/delete-rows.ts';
import { joinText, splitText } from '../storage/long-text.ts';
import { odata, type Page, type Table, type Values } from '../storage/tables.ts';

const pack = promisify(gzip);
const unpack = promisify(gunzip);

/** What DPS listed of one id. */
export interface ListedRecord {
  readonly id: string;
  readonly values: Values;
}

const listings = 'l!';
/** Packed, that is a fraction of the megabyte that a row takes. */
const mostCharactersOfRow = 300_000;
/** A row may be hundreds of KB: a page of them is some MB. */
const rowsPerPage = 20;

/**
 * What DPS lists comes in an order of its own. So it is first put down as it comes, hundreds of records a row, and then
 * compared with what is stored, in the order of ids. The rows last until the run has no more use for them.
 */
export class RecordListing {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** Resolves to how many rows there are then. A step that is repeated writes over what it had written. */
  async append(runId: string, of: string, chunk: number, records: readonly ListedRecord[]): Promise<number> {
    let next = chunk;
    for (const text of rowsOf(records)) {
      const packed = await pack(text, { level: 1 });
      const values = splitText('records', packed.toString('base64'));
      await this.#table.upsert(partitionOf(runId, of), rowKeyOf(next), values);
      next++;
    }
    return next;
  }

  /** The records of the first `chunks` rows. */
  async *records(runId: string, of: string, chunks: number): AsyncGenerator<readonly ListedRecord[]> {
    const filter = odata`PartitionKey eq ${partitionOf(runId, of)} and RowKey lt ${rowKeyOf(chunks)}`;
    let continuation: string | undefined;
    do {
      const page: Page = await this.#table.page(filter, { size: rowsPerPage, continuation });
      for (const row of page.rows) {
        const packed = Buffer.from(joinText('records', row.values) ?? '', 'base64');
        yield JSON.parse((await unpack(packed)).toString()) as ListedRecord[];
      }
      continuation = page.continuation;
    } while (continuation !== undefined);
  }

  /** Of this run and all before it. */
  async clear(): Promise<void> {
    await deleteRows(this.#table, odata`PartitionKey ge ${listings} and PartitionKey lt ${'l"'}`);
  }
}

function* rowsOf(records: readonly ListedRecord[]): Generator<string> {
  let texts: string[] = [];
  let size = 0;
  for (const record of records) {
    const text = JSON.stringify(record);
    if (texts.length > 0 && size + text.length > mostCharactersOfRow) {
      yield `[${texts.join(',')}]`;
      texts = [];
      size = 0;
    }
    texts.push(text);
    size += text.length + 1;
  }
  if (texts.length > 0) {
    yield `[${texts.join(',')}]`;
  }
}

function partitionOf(runId: string, of: string): string {
  return `${listings}${runId}!${of}`;
}

function rowKeyOf(chunk: number): string {
  return String(chunk).padStart(8, '0');
}
