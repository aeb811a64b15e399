import { defineConfig } from 'vitest/config';

/** Tests of one part at a time: they share nothing, so that their files may follow each other in one process. */
const parts = ['house', 'dps-client', 'dps-emulator', 'service-bus-emulator', 'infra'].map(
  (folder) => `test/${folder}/**/*.test.ts`,
);

export default defineConfig({
  test: {
    // Azurite, the emulators and TLS handshakes share two cores: a slow machine is no failure.
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // Most tests wait for other processes more than they compute.
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'parts', include: parts, isolate: false } },
      { extends: true, test: { name: 'whole', include: ['test/**/*.test.ts'], exclude: parts } },
    ],
  },
});
