import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** The profiles that come with the app, and more. */
export class ProfilesFile {
  readonly path: string;
  readonly #directory = mkdtempSync(path.join(tmpdir(), 'profiles-'));

  constructor(...more: readonly object[]) {
    const { profiles } = JSON.parse(readFileSync('src/enrollment-profiles.json', 'utf8'));
    this.path = path.join(this.#directory, 'profiles.json');
    writeFileSync(this.path, JSON.stringify({ profiles: [...profiles, ...more] }));
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true });
  }
}
