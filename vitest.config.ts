import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/temporary-directory.ts',
    // Tests start processes and measure what stays behind: each file has a process of its own.
    pool: 'forks',
    maxWorkers: Math.min(4, Math.max(2, Math.floor(availableParallelism() / 2))),
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 10_000,
    // Of what runs in the test's own process: whole daemons are other processes.
    coverage: { include: ['src/**/*.ts'], reporter: ['text-summary', 'html'], reportsDirectory: 'coverage' },
  },
});
