import { defineConfig } from 'vitest/config';

const filesOf = (...folders: string[]) => folders.map((folder) => `test/${folder}/**/*.test.ts`);

/**
 * Tests of single parts, in seconds: `npm run test:fast`. They share nothing, so that their files may follow each other in
 * one process.
 */
const parts = [
  ...filesOf('house', 'dps-client', 'dps-emulator', 'service-bus-emulator'),
  ...['registers', 'profiles', 'quota-window', 'webhook-signature', 'senders', 'kept-bodies'].map(
    (name) => `test/pipeline/${name}.test.ts`,
  ),
];

/** As independent, but they start other programs, or send thousands of messages. */
const patientParts = [
  ...filesOf('infra'),
  'test/dps-client/samples.test.ts',
  'test/dps-emulator/{arbitrary-*,command}.test.ts',
  'test/service-bus-emulator/{load,other-clients}.test.ts',
];

export default defineConfig({
  test: {
    // Azurite, the emulators and TLS handshakes share two cores: a slow machine is no failure.
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // Most tests wait for other processes more than they compute.
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'fast', include: parts, exclude: patientParts, isolate: false } },
      { extends: true, test: { name: 'patient', include: patientParts, isolate: false } },
      {
        extends: true,
        test: { name: 'whole', include: ['test/**/*.test.ts'], exclude: [...parts, ...patientParts] },
      },
    ],
  },
});
