import type { EmulatorState } from './state.ts';

export interface Journal {
  close(): Promise<void>;
}

export async function openJournal(_directory: string, _state: EmulatorState): Promise<Journal> {
  return { close: async () => {} };
}
