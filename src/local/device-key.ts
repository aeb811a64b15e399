/** `npm run device-key -- ID`: fetches what the line would write into a device, from what `npm start` runs. */
import { parseArgs } from 'node:util';

import { commandLine } from './stack/command-line.ts';
import { defaultEndpointsFile, readEndpoints } from './stack/endpoints.ts';

/** As far as it is looked at here. */
interface Credentials {
  readonly attestation: string;
  readonly symmetricKey?: { readonly primaryKey: string };
}

const usage = `Usage: npm run device-key -- ID [options]     what the line writes into a device, from what npm start runs
  ID                the registration id of a device that an event has defined
  --key             the primary key alone, for scripts
  --endpoints FILE  where the stack is found (${defaultEndpointsFile})
The stack must run with CREDENTIALS=on. Each call is noted in the device's history.`;

await commandLine(usage, async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      key: { type: 'boolean', default: false },
      endpoints: { type: 'string', default: defaultEndpointsFile },
    },
  });
  const [id] = positionals;
  if (id === undefined) {
    throw new Error('Name a device: npm run device-key -- ID');
  }
  const { functions, keys } = readEndpoints(values.endpoints);
  if (functions === undefined) {
    throw new Error('The stack runs without the app: start it with CREDENTIALS=on npm start.');
  }
  const response = await fetch(`${functions}/api/devices/${encodeURIComponent(id)}/credentials`, {
    method: 'POST',
    headers: { 'x-functions-key': keys.function },
  });
  if (!response.ok) {
    const { detail } = (await response.json()) as { detail?: string };
    const advice = response.status === 403 ? ' Locally: CREDENTIALS=on npm start.' : '';
    throw new Error(`${response.status}: ${detail}${advice}`);
  }
  const credentials = (await response.json()) as Credentials;
  if (!values.key) {
    console.log(JSON.stringify(credentials, undefined, 2));
    return;
  }
  if (!credentials.symmetricKey) {
    throw new Error(`${id} has no key: its attestation is ${credentials.attestation}.`);
  }
  console.log(credentials.symmetricKey.primaryKey);
});
