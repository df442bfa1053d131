import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isRunning } from '../../deploy/local/process-identity.ts';
import { spawnServer } from '../../deploy/local/server-process.ts';
import { clearTestRun } from './test-run.ts';

it.each(['server', 'stack/redis', 'group/0/data'])(
  'ends what runs in %s, and takes the directory away',
  async (where) => {
    const run = mkdtempSync(join(tmpdir(), 'holdfast-run-test-'));
    const directory = join(run, where);
    mkdirSync(directory, { recursive: true });
    mkdirSync(join(run, 'empty'));
    writeFileSync(join(run, 'owner.json'), '{}');
    const { process: server } = await spawnServer(
      {
        ...{ name: 'sleep', title: 'sleep', command: 'sleep', args: ['600'] },
        ...{ directory, port: 0, isReady: async () => true, readyTimeoutMs: 10_000 },
      },
      null,
    );
    clearTestRun(run);
    await expect.poll(() => isRunning(server), { timeout: 10_000 }).toBe(false);
    expect(existsSync(run)).toBe(false);
  },
);
