import {
  closeSync,
  createReadStream,
  createWriteStream,
  fstatSync,
  ftruncateSync,
  openSync,
  writeSync,
} from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Change, EmulatorState } from './state.ts';

const FILE = 'dps-emulator.jsonl';
const HEADER = '{"journal":"dps-emulator","version":1}';
/** The file is written anew at start when it holds more than this many lines for each thing that is still there. */
const LINES_PER_RECORD = 2;
const SPARE_LINES = 1_000;
const LINES_PER_WRITE = 1_000;

export interface Journal {
  close(): void;
}

/**
 * Keeps the state in a file of changes, a line each, written before a change is answered: whatever was answered survives
 * the end of the process. A crash can tear the last line only; it is then cut off, as nobody had its answer.
 * @throws Error if the file is something else, or broken elsewhere than at its end.
 */
export async function openJournal(directory: string, state: EmulatorState): Promise<Journal> {
  await mkdir(directory, { recursive: true });
  const path = join(directory, FILE);
  const { lines, wholeBytes } = await replay(path, state);
  const records = state.individual.size + state.group.size + state.registrations.size;
  const isWorthwhile = lines > records * LINES_PER_RECORD + SPARE_LINES;
  if (lines === 0 || isWorthwhile) await rewrite(path, state);

  const file = openSync(path, 'r+');
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
  let broken: number | undefined;
  const size = await sizeOf(path);
  if (size === 0) return { lines, wholeBytes };
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: 0 })) {
    if (broken !== undefined)
      throw new Error(`${path} is broken in line ${broken}; delete it to start anew.`);
    const bytes = Buffer.byteLength(line) + 1;
    const change = parse(line);
    // A line without its end is torn even if it can be parsed: a number may have lost digits.
    if (change === undefined || wholeBytes + bytes > size) broken = lines + 1;
    else {
      if (lines > 0) state.apply(change);
      else if (line !== HEADER)
        throw new Error(`${path} is no journal of this DPS emulator; delete or move it.`);
      lines += 1;
      wholeBytes += bytes;
    }
  }
  return { lines, wholeBytes };
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
  await pipeline(Readable.from(chunks(state)), createWriteStream(draft));
  const file = await open(draft, 'r+');
  await file.sync();
  await file.close();
  await rename(draft, path);
}

function* chunks(state: EmulatorState): Generator<string> {
  let lines: string[] = [HEADER];
  for (const change of state.snapshot()) {
    lines.push(JSON.stringify(change));
    if (lines.length < LINES_PER_WRITE) continue;
    yield `${lines.join('\n')}\n`;
    lines = [];
  }
  if (lines.length > 0) yield `${lines.join('\n')}\n`;
}

async function sizeOf(path: string): Promise<number> {
  try {
    const file = await open(path, 'r');
    const { size } = await file.stat();
    await file.close();
    return size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
