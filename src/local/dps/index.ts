/** What the emulator's package offers to programs; `main.ts` is its command. */
export { type DpsEmulator, type DpsEmulatorOptions, startDpsEmulator } from './emulator.ts';
