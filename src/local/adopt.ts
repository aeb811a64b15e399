/** `npm run adopt -- RULES.json [--dry-run]`: takes what DPS has into the ledger of a running app, and shows how far it is. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { commandLine } from './stack/command-line.ts';
import { defaultEndpointsFile, readEndpoints } from './stack/endpoints.ts';

const lookEveryMs = 1_000;

const usage = `Usage: npm run adopt -- FILE [options]        takes what DPS has into the ledger; changes nothing in DPS
       npm run adopt -- --undo ID [options]   takes that back, as far as no event has come since
  FILE               JSON: { "rules": [{ "idPrefix": "thermostat-", "product": "thermostat-g2" }],
                     "products": { "id": "product" } }
  --dry-run          only says what would be taken, and what not
  --undo ID          takes back what an adoption took
  --app URL          the running app (default: what npm start runs)
  --key KEY          its key, or the environment variable FUNCTIONS_KEY
  --endpoints FILE   where the stack is found (${defaultEndpointsFile})
Exit code 0 if it has finished and left nothing out.`;

interface AdoptionShown {
  readonly id: string;
  readonly status: string;
  readonly phase: string;
  readonly operations: number;
  readonly scanned: Readonly<Record<string, number>>;
  readonly taken: { readonly batches: number; readonly devices: number };
  readonly leftOut: Readonly<Record<string, { readonly count: number }>>;
  readonly detail?: string;
}

await commandLine(usage, async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      'dry-run': { type: 'boolean', default: false },
      undo: { type: 'string' },
      app: { type: 'string' },
      key: { type: 'string' },
      endpoints: { type: 'string', default: defaultEndpointsFile },
    },
  });
  const [file] = positionals;
  if ((file === undefined) === (values.undo === undefined)) {
    throw new Error('Name a file of rules, or --undo with the id of an adoption.');
  }
  const app = appOf(values);
  const body = file === undefined ? { undo: values.undo } : { ...readRules(file), dryRun: values['dry-run'] };
  const { id } = await call<AdoptionShown>(app, '/api/adoptions', {
    method: 'POST',
    body: JSON.stringify(body),
  });
  const ended = await follow(app, id);
  console.log(JSON.stringify(ended, undefined, 2));
  const isWhole = ended.status !== 'failed' && Object.keys(ended.leftOut).length === 0;
  process.exit(isWhole ? 0 : 1);
});

interface App {
  readonly url: string;
  readonly key: string;
}

function appOf({ app, key, endpoints }: { app?: string; key?: string; endpoints: string }): App {
  if (app !== undefined) {
    return { url: app.replace(/\/$/, ''), key: key ?? process.env.FUNCTIONS_KEY ?? '' };
  }
  const { functions, keys } = readEndpoints(endpoints);
  if (functions === undefined) {
    throw new Error('The stack runs without the app: start it with npm start, or name one with --app URL.');
  }
  return { url: functions, key: key ?? keys.function };
}

function readRules(file: string): object {
  try {
    return JSON.parse(readFileSync(file, 'utf8').replace(/^\uFEFF/, '')) as object;
  } catch (error) {
    throw new Error(`${file} could not be read as JSON: ${error instanceof Error ? error.message : error}`);
  }
}

async function follow(app: App, id: string): Promise<AdoptionShown> {
  let shown = '';
  for (;;) {
    const adoption = await call<AdoptionShown>(app, `/api/adoptions/${id}`);
    const { status, phase, operations, scanned, taken } = adoption;
    const counts = Object.entries(scanned).map(([name, count]) => `${count} ${name}`);
    const line = `${status}, ${phase}: ${counts.join(', ')} read; ${taken.devices} devices, ${taken.batches} batches; ${operations} DPS operations`;
    if (line !== shown) {
      console.error(line);
      shown = line;
    }
    if (status !== 'running' && status !== 'undoing') {
      return adoption;
    }
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}

async function call<T>({ url, key }: App, path: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(`${url}${path}`, {
    ...init,
    headers: { 'x-functions-key': key, 'content-type': 'application/json' },
  });
  const answer = (await response.json().catch(() => ({}))) as T & { detail?: string };
  if (!response.ok) {
    throw new Error(`${path} answered ${response.status}. ${answer.detail ?? ''}`);
  }
  return answer;
}
