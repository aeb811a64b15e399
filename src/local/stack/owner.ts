import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // there, but somebody else's
  }
}

/**
 * Makes this process the owner of a folder until it ends. Two stacks that keep their data in one place would spoil it.
 * @throws Error if another process that runs has it.
 */
export function ownDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true });
  const file = path.join(directory, 'stack.pid');
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw error;
    }
    const owner = Number(readFileSync(file, 'utf8'));
    if (owner > 0 && owner !== process.pid && isRunning(owner)) {
      throw new Error(
        `${directory} has the data of the stack of process ${owner}, which runs: stop it, or name another folder with --data.`,
      );
    }
    writeFileSync(file, String(process.pid)); // left behind by a stack that was killed
  }
  process.on('exit', () => rmSync(file, { force: true }));
}
