/** `npm run device -- ID`: switches one device on against what `npm start` runs, and prints each step. */
import { deviceUsage, readDeviceFlags } from './devices/device-flags.ts';
import { commandLine } from './stack/command-line.ts';
import { keepCompiledCode } from './stack/compile-cache.ts';

await commandLine(deviceUsage, async () => {
  const flags = readDeviceFlags(process.argv.slice(2));
  keepCompiledCode();
  // Loaded only now, so that a wrong flag is reported at once.
  const { switchOn } = await import('./devices/switch-on.ts');
  if (!(await switchOn(flags))) {
    process.exitCode = 1;
  }
});
