import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Planned } from './azure.ts';

const run = promisify(execFile);

/**
 * What a deployment of the parameter file would make in this subscription, as the compiler evaluates it. Works on a copy of
 * the folder: the compiler writes its result beside its input.
 */
export async function plannedResources(
  bicep: string,
  infra: string,
  file: string,
  { id, tenantId }: { id: string; tenantId: string },
): Promise<Planned[]> {
  const copy = await mkdtemp(path.join(tmpdir(), 'rehearse-'));
  try {
    await cp(infra, path.join(copy, 'infra'), { recursive: true });
    const copied = path.join(copy, 'infra', path.relative(infra, file));
    const scope = ['--subscription-id', id, '--tenant-id', tenantId, '--location', 'westeurope'];
    await run(bicep, ['snapshot', copied, '--mode', 'overwrite', ...scope]);
    const text = await readFile(copied.replace(/\.bicepparam$/, '.snapshot.json'), 'utf8');
    return (JSON.parse(text) as { predictedResources: Planned[] }).predictedResources;
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}
