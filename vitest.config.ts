import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{engine,lua,persister,reconciler,bench,deploy}/**/*.test.ts'],
    exclude: ['**/node_modules/**', 'dist/**'],
    globalSetup: ['engine/testing/global-setup.ts'],
    pool: 'forks',
    // Tests mostly wait for servers, so three run at once even where there are two cores.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Where all cores are busy a process takes its time to end.
    teardownTimeout: 60_000,
  },
});
