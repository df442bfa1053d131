/** What `holdfast chaos` refuses; that it breaks and judges is tried with a stack (chaos.fault.test.ts). */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { identifySelf } from '../../deploy/local/process-identity.ts';
import { writeServerRecord } from '../../deploy/local/server-process.ts';
import { writeMembers } from '../../deploy/local/stack-members.ts';
import { CommandError, EXIT } from './api.ts';
import { chaosCommand } from './chaos.ts';

const empty = mkdtempSync(join(tmpdir(), 'holdfast-chaos-'));
afterAll(() => rmSync(empty, { recursive: true }));

async function refusal(...args: string[]): Promise<CommandError> {
  const command = chaosCommand().exitOverride();
  try {
    await command.parseAsync(['node', 'chaos', ...args]);
  } catch (error) {
    if (error instanceof CommandError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

it.each([
  'http://10.0.0.7:7070',
  'http://shop.example:7070',
  'http://127.0.0.1.shop.example:7070',
  'http://0.0.0.0:7070',
])('refuses an engine that is not on this machine: %s', async (url) => {
  const { exitCode, message } = await refusal('--url', url, '--dir', empty);
  expect(exitCode).toBe(EXIT.usage);
  expect(message).toContain('not on this machine');
});

it('refuses what is no URL', async () => {
  expect(await refusal('--url', 'shop', '--dir', empty)).toMatchObject({ exitCode: EXIT.usage });
});

it('says how to start a stack where none with a group runs', async () => {
  const { exitCode, message } = await refusal('--dir', empty);
  expect(exitCode).toBe(EXIT.unavailable);
  expect(message).toContain('holdfast dev --sentinel');
});

it('says which Redis of the group is missing, and how to bring it back', async () => {
  const directory = mkdtempSync(join(empty, 'group-'));
  const members = [1, 2, 3].map((n) => ({
    data: { host: `127.0.0.${n}`, port: 6379 },
    sentinel: { host: `127.0.0.${n}`, port: 26379 },
  }));
  writeFileSync(join(directory, 'redis-group.json'), JSON.stringify({ members }));
  writeMembers(directory, { redis: 'redis+sentinel://h/x', postgres: 'postgresql://h/x' });
  // This test's own process runs: as far as the directory tells, so does what it stands for.
  for (const name of ['redis-1', 'redis-3']) {
    mkdirSync(join(directory, name));
    const record = { process: identifySelf(), owner: null, port: 6379 };
    writeServerRecord(join(directory, name), record);
  }
  const { exitCode, message } = await refusal('--dir', directory);
  expect(exitCode).toBe(EXIT.unavailable);
  expect(message).toContain('redis-2 is missing');
  expect(message).toContain(`holdfast stack up --sentinel --dir ${directory}`);
});
