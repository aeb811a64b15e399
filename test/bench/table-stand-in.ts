/**
 * Table Storage in memory, in a process of its own, for fleets that Azurite is too slow for: it sorts a whole table for
 * each page that it answers. What the app uses of the protocol is here, and nothing else: pages, filters, projections,
 * single rows and transactions, with etags. It checks no signature. Rows are loaded and counted through `/_bench/…`.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { type Filter, readFilter, type Scan, StandInTable, type StoredRow } from './stand-in-rows.ts';

export interface TableCalls {
  /** Calls by what they do. */
  readonly calls: Readonly<Record<'page' | 'get' | 'transaction' | 'write', number>>;
  readonly rowsRead: number;
  readonly rowsWritten: number;
}

export class TableStandIn {
  readonly connectionString: string;
  readonly #address: string;
  readonly #child: ChildProcess;

  private constructor(address: string, child: ChildProcess) {
    this.#address = address;
    this.#child = child;
    this.connectionString = `DefaultEndpointsProtocol=http;AccountName=bench;AccountKey=${Buffer.from('none').toString('base64')};TableEndpoint=${address}/bench;`;
  }

  static async start(): Promise<TableStandIn> {
    const child = fork(import.meta.filename, ['--serve'], { execArgv: ['--max-old-space-size=8192'] });
    const [port] = await once(child, 'message');
    return new TableStandIn(`http://127.0.0.1:${port}`, child);
  }

  async load(table: string, rows: readonly (readonly [string, string, object])[]): Promise<void> {
    await fetch(`${this.#address}/_bench/load/${table}`, { method: 'POST', body: JSON.stringify(rows) });
  }

  /** Since the last reading. */
  async calls(): Promise<TableCalls> {
    return (await (await fetch(`${this.#address}/_bench/calls`)).json()) as TableCalls;
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}

const tables = new Map<string, StandInTable>();
const noCalls = () => ({
  calls: { page: 0, get: 0, transaction: 0, write: 0 },
  rowsRead: 0,
  rowsWritten: 0,
});
let counted = noCalls();

if (process.argv.includes('--serve') && process.send) {
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error));
    });
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
  process.on('disconnect', () => process.exit());
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const [, account, name = '', more = ''] = url.pathname.split('/');
  const body = await readText(request);
  if (account === '_bench') {
    return answerBench(name, more, body, response);
  }
  const place = decodeURIComponent(name);
  if (place === '$batch') {
    return answerTransaction(body, response);
  }
  if (place === 'Tables') {
    response.writeHead(204).end();
    return;
  }
  const table = tableOf(place.replace(/\(.*$/s, ''));
  const keys = /\(PartitionKey='(.*)',RowKey='(.*)'\)$/s.exec(place);
  if (request.method === 'GET') {
    return keys ? answerGet(table, keys, response) : answerPage(table, url.searchParams, response);
  }
  counted.calls.write++;
  const done = write(table, {
    method: request.method ?? '',
    keys,
    body,
    ifMatch: request.headers['if-match'],
  });
  if (typeof done === 'number') {
    return refuse(response, done);
  }
  response.writeHead(204, { etag: done }).end();
}

function answerBench(name: string, table: string, body: string, response: ServerResponse): void {
  if (name === 'load') {
    for (const [partition, row, values] of JSON.parse(body) as [string, string, object][]) {
      tableOf(table).put(partition, row, inner(values));
    }
    response.end();
    return;
  }
  response.end(JSON.stringify(counted));
  counted = noCalls();
}

function answerGet(table: StandInTable, keys: RegExpExecArray, response: ServerResponse): void {
  counted.calls.get++;
  const row = table.get(unquoted(keys[1]), unquoted(keys[2]));
  if (!row) {
    refuse(response, 404);
    return;
  }
  counted.rowsRead++;
  response.writeHead(200, { 'content-type': 'application/json', etag: row.etag }).end(entityText(row));
}

function answerPage(table: StandInTable, query: URLSearchParams, response: ServerResponse): void {
  counted.calls.page++;
  const filter: Filter = readFilter(query.get('$filter') ?? '');
  const scan: Scan = {
    filter,
    limit: Number(query.get('$top') ?? 1_000),
    partition: query.get('NextPartitionKey') ?? undefined,
    row: query.get('NextRowKey') ?? undefined,
  };
  const { rows, next } = table.page(scan);
  counted.rowsRead += rows.length;
  const select = query.get('$select')?.split(',');
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (next) {
    headers['x-ms-continuation-nextpartitionkey'] = next.partition;
    headers['x-ms-continuation-nextrowkey'] = next.row;
  }
  const values = rows.map((row) => (select ? selected(row, select) : entityText(row)));
  response.writeHead(200, headers).end(`{"value":[${values.join(',')}]}`);
}

interface Write {
  readonly method: string;
  readonly keys: RegExpExecArray | null;
  readonly body: string;
  readonly ifMatch: string | undefined;
}

/** The new etag, or the status that refuses it. */
function write(table: StandInTable, { method, keys, body, ifMatch }: Write): string | number {
  const values = body === '' ? {} : (JSON.parse(body) as Record<string, unknown>);
  const partition = keys ? unquoted(keys[1]) : String(values.PartitionKey);
  const row = keys ? unquoted(keys[2]) : String(values.RowKey);
  const known = table.get(partition, row);
  if (method === 'POST' && known) {
    return 409;
  }
  if (ifMatch !== undefined && !known) {
    return 404;
  }
  if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== known?.etag) {
    return 412;
  }
  counted.rowsWritten++;
  if (method === 'DELETE') {
    table.delete(partition, row);
    return '*';
  }
  const merged = method === 'PATCH' || method === 'MERGE';
  const before = merged && known ? JSON.parse(`{${known.text}}`) : {};
  return table.put(partition, row, inner({ ...before, ...values }));
}

/** All or nothing: what is refused takes back what was written before it. */
function answerTransaction(body: string, response: ServerResponse): void {
  counted.calls.transaction++;
  const parts = body.split(/--changeset_[^\r\n]*/).slice(1, -1);
  const undo: (() => void)[] = [];
  const answers: string[] = [];
  for (const [index, part] of parts.entries()) {
    const request = /(POST|PUT|PATCH|MERGE|DELETE) (\S+) HTTP\/1.1/.exec(part);
    const place = decodeURIComponent(
      new URL(request?.[2] ?? '', 'http://localhost').pathname.split('/').slice(2).join('/'),
    );
    const table = tableOf(place.replace(/\(.*$/s, ''));
    const keys = /\(PartitionKey='(.*)',RowKey='(.*)'\)$/s.exec(place);
    const start = part.indexOf('{');
    const text = start < 0 ? '' : part.slice(start, part.lastIndexOf('}') + 1);
    const ifMatch = /^If-Match: (.*?)\r?$/im.exec(start < 0 ? part : part.slice(0, start))?.[1];
    const method = request?.[1] ?? '';
    const { PartitionKey, RowKey } = keys
      ? { PartitionKey: unquoted(keys[1]), RowKey: unquoted(keys[2]) }
      : (JSON.parse(text) as { PartitionKey: string; RowKey: string });
    const before = table.get(PartitionKey, RowKey);
    const done = write(table, { method, keys, body: text, ifMatch });
    if (typeof done === 'number') {
      for (const each of undo.reverse()) {
        each();
      }
      const error = JSON.stringify({
        'odata.error': { code: codes[done], message: { lang: 'en-US', value: `${index}:refused` } },
      });
      answers.splice(0, answers.length, `HTTP/1.1 ${done} Refused\r\n\r\n${error}\r\n`);
      break;
    }
    undo.push(() =>
      before ? table.put(PartitionKey, RowKey, before.text, before.etag) : table.delete(PartitionKey, RowKey),
    );
    answers.push(`HTTP/1.1 204 No Content\r\nETag: ${done}\r\n`);
  }
  const changes = answers.map(
    (each) => `--changesetresponse_1\r\nContent-Type: application/http\r\n\r\n${each}\r\n`,
  );
  response
    .writeHead(202, { 'content-type': 'multipart/mixed; boundary=batchresponse_1' })
    .end(
      `--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_1\r\n\r\n${changes.join('')}--changesetresponse_1--\r\n--batchresponse_1--\r\n`,
    );
}

const codes: Readonly<Record<number, string>> = {
  404: 'ResourceNotFound',
  409: 'EntityAlreadyExists',
  412: 'UpdateConditionNotSatisfied',
};

function refuse(response: ServerResponse, status: number): void {
  const error = { 'odata.error': { code: codes[status], message: { lang: 'en-US', value: 'refused' } } };
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(error));
}

function tableOf(name: string): StandInTable {
  const table = tables.get(name.toLowerCase()) ?? new StandInTable();
  tables.set(name.toLowerCase(), table);
  return table;
}

function unquoted(text = ''): string {
  return text.replaceAll("''", "'");
}

function inner(values: object): string {
  const { PartitionKey: _, RowKey: __, ...others } = values as Record<string, unknown>;
  return JSON.stringify(others).slice(1, -1);
}

function entityText({ partition, row, etag, text }: StoredRow): string {
  const keys = `"odata.etag":${JSON.stringify(etag)},"PartitionKey":${JSON.stringify(partition)},"RowKey":${JSON.stringify(row)}`;
  return `{${keys}${text === '' ? '' : `,${text}`}}`;
}

function selected(row: StoredRow, names: readonly string[]): string {
  const all = JSON.parse(entityText(row)) as Record<string, unknown>;
  return JSON.stringify(
    Object.fromEntries(['odata.etag', ...names].flatMap((name) => (name in all ? [[name, all[name]]] : []))),
  );
}
