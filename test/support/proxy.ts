import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface SeenAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** What happens to a request: it fails before the service sees it, or after it was carried out, or it passes. */
export type Fate = 'pass' | 'cut-before' | 'cut-after' | 'pass-and-tell';

export interface ProxyOptions {
  readonly target: string;
  /** Decides on each request. */
  fate(request: SeenRequest): Fate;
  /** Called when a fate other than `pass` has come about; the caller waits for its answer meanwhile. */
  struck?(): Promise<void> | void;
  /** Holds a request up before the service sees it. */
  before?(request: SeenRequest): Promise<void>;
  /** Headers to send instead of the caller's. */
  headers?(): Record<string, string>;
  /** Answers in the service's place where it returns something. */
  answer?(request: SeenRequest): { readonly status: number; readonly body: string } | undefined;
  /** Told of each answer of the service. */
  answered?(request: SeenRequest, answer: SeenAnswer): void;
  /** Delays before the answer and how it is sliced. */
  readonly answersBy?: (body: Buffer, response: http.ServerResponse) => Promise<void>;
}

/** Stands between the app and a service, on a free port. */
export class FaultyProxy {
  readonly url: string;
  readonly #server: http.Server;
  readonly #agent: http.Agent;
  readonly #underWay: ReadonlySet<SeenRequest>;

  private constructor(underWay: ReadonlySet<SeenRequest>, server: http.Server, agent: http.Agent) {
    this.#underWay = underWay;
    this.#server = server;
    this.#agent = agent;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(options: ProxyOptions): Promise<FaultyProxy> {
    const agent = new http.Agent({ keepAlive: true });
    const underWay = new Set<SeenRequest>();
    const server = http.createServer((request, response) => {
      handle(options, { agent, underWay }, request, response).catch(() => request.socket.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FaultyProxy(underWay, server, agent);
  }

  /** Requests that have come and are not answered yet. */
  underWay(which: (request: SeenRequest) => boolean = () => true): number {
    return [...this.#underWay].filter(which).length;
  }

  get openConnections(): Promise<number> {
    return new Promise((resolve, reject) =>
      this.#server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
    );
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#agent.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

interface Passing {
  readonly agent: http.Agent;
  readonly underWay: Set<SeenRequest>;
}

async function handle(
  options: ProxyOptions,
  { agent, underWay }: Passing,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  const { method = '', url: path = '', headers } = request;
  const seen = { method, path, headers, body: await bodyOf(request) };
  underWay.add(seen);
  response.once('close', () => underWay.delete(seen));
  const fate = options.fate(seen);
  if (fate === 'cut-before') {
    await options.struck?.();
    request.socket.destroy();
    return;
  }
  await options.before?.(seen);
  const own = options.answer?.(seen);
  const answer = own
    ? { status: own.status, headers: { 'content-type': 'application/json' }, body: Buffer.from(own.body) }
    : await forward(options, agent, seen);
  options.answered?.(seen, answer);
  if (fate === 'cut-after') {
    await options.struck?.();
    request.socket.destroy();
    return;
  }
  response.writeHead(answer.status, answer.headers);
  if (options.answersBy) {
    await options.answersBy(answer.body, response);
  } else {
    response.end(answer.body);
  }
  if (fate === 'pass-and-tell') {
    await options.struck?.();
  }
}

async function forward({ target, headers }: ProxyOptions, agent: http.Agent, seen: SeenRequest) {
  const { 'transfer-encoding': _, connection: __, ...kept } = seen.headers;
  const sent = http.request(`${target}${seen.path}`, {
    agent,
    method: seen.method,
    headers: { ...kept, ...headers?.() },
  });
  sent.end(seen.body);
  const [answer] = (await once(sent, 'response')) as [http.IncomingMessage];
  const body = await bodyOf(answer);
  const { 'transfer-encoding': ___, connection: ____, 'keep-alive': _____, ...answered } = answer.headers;
  return {
    status: answer.statusCode ?? 500,
    headers: { ...answered, 'content-length': String(body.length) },
    body,
  };
}

async function bodyOf(message: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/** The two connection strings that lead the app through proxies. */
export function through(
  dps: FaultyProxy,
  tables: FaultyProxy,
  tablesConnectionString: string,
): Record<string, string> {
  return {
    DPS_CONNECTION_STRING: throughProxy(dps),
    ...tablesThrough(tables, tablesConnectionString),
  };
}

export function tablesThrough(proxy: FaultyProxy, connectionString: string): Record<string, string> {
  return { TableStorage: connectionString.replace(tableOrigin, `$1${proxy.url}`) };
}

/** Where the tables of a connection string are. */
export function originOfTables(connectionString: string): string {
  return tableOrigin.exec(connectionString)?.[2] ?? '';
}

const tableOrigin = /(TableEndpoint=)(http:\/\/[^/]+)/;

export function throughProxy(dps: FaultyProxy): string {
  return signedAnew(new URL(dps.url).host);
}

/** Signed with any key: the proxy behind that host signs anew. */
export function signedAnew(host: string): string {
  return `HostName=${host};SharedAccessKeyName=provisioningserviceowner;SharedAccessKey=AAAAAAAAAAAAAAAAAAAAAA==;UseDevelopmentEmulator=true`;
}
