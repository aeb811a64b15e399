import { readFileSync } from 'node:fs';

const intervalInMs = 500;
const shell = /^(sh|bash|dash|ash|zsh)$/;

/**
 * Has this process be sent SIGTERM when the npm that runs it is gone. npm does not see to that: it runs scripts through
 * a shell, and neither a signal to npm nor its death reaches what the shell runs.
 */
export function endWithNpm(): void {
  if (process.env.npm_lifecycle_event === undefined) {
    return;
  }
  const atStart = family();
  const timer = setInterval(() => {
    if (family() === atStart) {
      return;
    }
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, intervalInMs);
  timer.unref();
}

/** Who our parent is and, where that is a shell, who the shell's is. Without /proc only the former. */
function family(): string {
  const parent = String(process.ppid);
  let stat: string;
  try {
    stat = readFileSync(`/proc/${parent}/stat`, 'utf8'); // pid (command) state parent …
  } catch {
    return parent;
  }
  const command = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
  const grandparent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
  return shell.test(command) ? `${parent} ${grandparent}` : parent;
}
