/** `npm run ledger -- backup FILE`, `npm run ledger -- restore FILE`: what the app knows, to keep and to bring back. */
import { parseArgs } from 'node:util';
import { commandLine } from '../src/local/stack/command-line.ts';
import { defaultEndpointsFile, readEndpoints } from '../src/local/stack/endpoints.ts';
import { backUp, copiedTables, restore } from '../src/storage/ledger-copy.ts';
import type { TableAccess } from '../src/storage/tables.ts';

const usage = `Usage: npm run ledger -- backup FILE | restore FILE [options]     what the app knows, to keep and to bring back
  --account URL     https://NAME.table.core.windows.net, as who is signed in (az login); without it the local stack's
  --endpoints FILE  where the local stack is found (${defaultEndpointsFile})
A backup is a gzipped file of JSON lines. Restore writes into empty tables only. Stop the app for both: events wait.`;

await commandLine(usage, async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { account: { type: 'string' }, endpoints: { type: 'string', default: defaultEndpointsFile } },
  });
  const [what, file] = positionals;
  if (file === undefined || (what !== 'backup' && what !== 'restore')) {
    throw new Error(
      'Say what to do: npm run ledger -- backup FILE, or restore FILE (--help lists the options).',
    );
  }
  const access = accessTo(values.account, values.endpoints);
  const count = what === 'backup' ? await backUp(access, file) : await restore(access, file);
  console.log(`${count} rows of ${copiedTables.length} tables ${what === 'backup' ? 'in' : 'from'} ${file}`);
});

function accessTo(account: string | undefined, endpointsFile: string): TableAccess {
  if (account === undefined) {
    return { connectionString: readEndpoints(endpointsFile).tables.connectionString };
  }
  return {
    endpoint: account,
    async credential() {
      const { DefaultAzureCredential } = await import('@azure/identity');
      return new DefaultAzureCredential();
    },
  };
}
