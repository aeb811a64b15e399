import {
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  writeSync,
} from 'node:fs';
import { chmod, mkdir, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Change, EmulatorState } from './state.ts';

const journalFile = 'dps-emulator.jsonl';
const header = '{"journal":"dps-emulator","version":1}';
/** The file is written anew at start when it holds more than this many lines for each thing that is still there. */
const linesPerRecord = 2;
const spareLines = 1_000;
const linesPerWrite = 1_000;
const readBytes = 1 << 20;
const lineFeed = 10;

export interface Journal {
  close(): void;
}

/**
 * Keeps the state in a file of changes, a line each, written before a change is answered: whatever was answered survives
 * the end of the process. A crash can tear the last line only; it is then cut off, as nobody had its answer.
 * @throws Error if the file is something else, or broken elsewhere than at its end.
 */
export async function openJournal(directory: string, state: EmulatorState): Promise<Journal> {
  // Keys of devices are in there: for the one who runs the emulator alone.
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  const path = join(directory, journalFile);
  const { lines, wholeBytes } = await replay(path, state);
  const records = state.individual.size + state.group.size + state.registrations.size + state.identities.size;
  const isWorthwhile = lines > records * linesPerRecord + spareLines;
  if (lines === 0 || isWorthwhile) {
    await rewrite(path, state);
  }

  const file = openSync(path, 'r+');
  fchmodSync(file, 0o600);
  let end = lines === 0 || isWorthwhile ? fstatSync(file).size : wholeBytes;
  ftruncateSync(file, end);
  state.journal = (change) => {
    const line = Buffer.from(`${JSON.stringify(change)}\n`);
    try {
      for (let written = 0; written < line.length; ) {
        written += writeSync(file, line, written, line.length - written, end + written);
      }
    } catch (error) {
      ftruncateSync(file, end);
      throw error;
    }
    end += line.length;
  };
  const close = () => {
    // The number of the file may soon be that of another: nothing may be written to it any more.
    state.journal = () => {
      throw new Error('The journal is closed.');
    };
    closeSync(file);
  };
  return { close };
}

/** @returns how many lines are whole, and the bytes up to the end of the last of them. */
async function replay(path: string, state: EmulatorState): Promise<{ lines: number; wholeBytes: number }> {
  let lines = 0;
  let wholeBytes = 0;
  let isBroken = false;
  for await (const line of wholeLines(path)) {
    if (isBroken) {
      throw new Error(`${path} is broken in line ${lines + 1}; delete it to start anew.`);
    }
    const change = parse(line.toString('utf8'));
    isBroken = change === undefined;
    if (change === undefined) {
      continue;
    }
    if (lines > 0) {
      state.apply(change);
    } else if (line.toString('latin1') !== header) {
      throw new Error(`${path} is no journal of this DPS emulator; delete or move it.`);
    }
    lines += 1;
    wholeBytes += line.length + 1;
  }
  return { lines, wholeBytes };
}

/** Lines that have their end. What comes after the last of them was torn. */
async function* wholeLines(path: string): AsyncGenerator<Buffer> {
  if (!existsSync(path)) {
    return;
  }
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { highWaterMark: readBytes })) {
    const data: Buffer = Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = data.indexOf(lineFeed); end >= 0; end = data.indexOf(lineFeed, start)) {
      yield data.subarray(start, end);
      start = end + 1;
    }
    rest = data.subarray(start);
  }
}

function parse(line: string): Change | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** Writes the state into a new file, which takes the old one's place only when it is whole and on disk. */
async function rewrite(path: string, state: EmulatorState): Promise<void> {
  const draft = `${path}.new`;
  await pipeline(Readable.from(chunks(state)), createWriteStream(draft, { mode: 0o600 }));
  const file = await open(draft, 'r+');
  await file.sync();
  await file.close();
  await rename(draft, path);
}

function* chunks(state: EmulatorState): Generator<string> {
  let lines: string[] = [header];
  for (const change of state.snapshot()) {
    lines.push(JSON.stringify(change));
    if (lines.length < linesPerWrite) {
      continue;
    }
    yield `${lines.join('\n')}\n`;
    lines = [];
  }
  if (lines.length > 0) {
    yield `${lines.join('\n')}\n`;
  }
}
