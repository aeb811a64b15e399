/**
 * Runs Azurite's three services in a process of their own, and ends with the process that forked it, however that ends:
 * the channel between them closes.
 */
import Module, { createRequire } from 'node:module';
import path from 'node:path';

export interface AzuriteRequest {
  readonly host: string;
  /** 0 picks a free one. */
  readonly ports: { readonly blob: number; readonly queue: number; readonly table: number };
  /** Absent: everything is in memory. */
  readonly dataDirectory?: string;
}

export type AzuriteReport =
  | { readonly addresses: { readonly blob: string; readonly queue: string; readonly table: string } }
  | { readonly failed: { readonly message: string; readonly code?: string; readonly port?: number } };

interface AzuriteServer {
  start(): Promise<void>;
  close(): Promise<void>;
  getHttpServerAddress(): string;
}

type Construct<Result> = { default: new (...args: unknown[]) => Result };

interface LokiCollection {
  findOne(query?: Readonly<Record<string, unknown>>): unknown;
  /** The places of the first and the last hit in the index of a key. */
  calculateRange(operator: '$eq', key: string, value: unknown): [number, number];
}

interface LokiModule {
  readonly Collection: { readonly prototype: LokiCollection };
}

const notHere = undefined;
const silent = false;
const noDebugLog = false;
const loose = false;
const skipApiVersionCheck = true;
const productStyleUrl = false;

// What the tables hold is for the one who runs the stack alone.
process.umask(0o077);
leaveTelemetryOut();
const requireAzurite = createRequire(import.meta.resolve('azurite/package.json'));
findRowsByTheRarerKey();
let servers: AzuriteServer[] = [];

// The terminal sends Ctrl-C to every process of the group; the parent says when it is time to go.
process.on('SIGINT', () => {});
process.once('disconnect', () => void close());
process.once('message', (request: AzuriteRequest) => void start(request));

async function start(request: AzuriteRequest): Promise<void> {
  const report = (message: AzuriteReport) => process.send?.(message, () => {}); // a parent that is gone is no error
  try {
    const [table, blob, queue] = [tableServer(request), blobServer(request), queueServer(request)];
    servers = [table, blob, queue];
    await Promise.all(servers.map((server) => server.start()));
    const [tableAddress, blobAddress, queueAddress] = servers.map((server) => server.getHttpServerAddress());
    report({ addresses: { table: tableAddress ?? '', blob: blobAddress ?? '', queue: queueAddress ?? '' } });
  } catch (error) {
    const { message, code, port } = error as NodeJS.ErrnoException & { port?: number };
    report({ failed: { message, ...(code && { code }), ...(port && { port }) } });
  }
}

async function close(): Promise<void> {
  await Promise.allSettled(servers.map((server) => server.close())); // writes out what is to be kept
  process.exit(0);
}

/** Telemetry is off, so its library, which takes a second to load, is not loaded either. */
function leaveTelemetryOut(): void {
  const prototype = Module.prototype as unknown as { require(this: Module, id: string): unknown };
  const original = prototype.require;
  prototype.require = function (id) {
    return id === 'applicationinsights' ? {} : original.call(this, id);
  };
}

/**
 * Azurite asks its database for `{ RowKey, PartitionKey }`, and only the first of them is looked up in an index: of many rows
 * that are named alike, or share a partition, all are read for one. So the rarer of the two goes first.
 */
function findRowsByTheRarerKey(): void {
  const { prototype } = (requireAzurite('lokijs') as LokiModule).Collection;
  const { findOne } = prototype;
  prototype.findOne = function (query) {
    const { PartitionKey, RowKey, ...rest } = query ?? {};
    if (PartitionKey === undefined || RowKey === undefined) {
      return findOne.call(this, query);
    }
    const countOf = (key: string, value: unknown) => {
      const [first, last] = this.calculateRange('$eq', key, value);
      return last - first;
    };
    const byPartition = countOf('PartitionKey', PartitionKey) < countOf('RowKey', RowKey);
    const keys = byPartition ? { PartitionKey, RowKey } : { RowKey, PartitionKey };
    return findOne.call(this, { ...keys, ...rest });
  };
}

function tableServer({ host, ports, dataDirectory = '' }: AzuriteRequest): AzuriteServer {
  const database = path.join(dataDirectory, '__azurite_db_table__.json');
  return construct(
    'table/TableServer',
    construct(
      'table/TableConfiguration',
      ...[host, ports.table, notHere, database, noDebugLog, silent, notHere, notHere],
      ...remaining(dataDirectory),
    ),
  );
}

function blobServer({ host, ports, dataDirectory = '' }: AzuriteRequest): AzuriteServer {
  return construct('blob/BlobServer', extentConfiguration('blob', 'Blob', host, ports.blob, dataDirectory));
}

function queueServer({ host, ports, dataDirectory = '' }: AzuriteRequest): AzuriteServer {
  return construct(
    'queue/QueueServer',
    extentConfiguration('queue', 'Queue', host, ports.queue, dataDirectory),
  );
}

function extentConfiguration(kind: string, name: string, host: string, port: number, dataDirectory: string) {
  const file = (suffix: string) => path.join(dataDirectory, `__azurite_db_${kind}${suffix}__.json`);
  const storage = [
    {
      locationId: 'Default',
      locationPath: path.join(dataDirectory, `__${kind}storage__`),
      maxConcurrency: 50,
    },
  ];
  return construct(
    `${kind}/${name}Configuration`,
    ...[host, port, notHere, file(''), file('_extent'), storage, silent, notHere, noDebugLog, notHere],
    ...remaining(dataDirectory),
  );
}

/** The parameters with which all of Azurite's configurations end. */
function remaining(dataDirectory: string): unknown[] {
  const certificates = ['', '', '', notHere];
  return [loose, skipApiVersionCheck, ...certificates, productStyleUrl, dataDirectory === ''];
}

function construct<Result>(file: string, ...args: unknown[]): Result {
  const module = requireAzurite(`./dist/src/${file}`) as Construct<Result>;
  return new module.default(...args);
}
