import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Azurite, the emulators and TLS handshakes share two cores: a slow machine is no failure.
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // Most tests wait for other processes more than they compute.
    maxWorkers: 2,
  },
});
