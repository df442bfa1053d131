/** What `holdfast chaos` refuses; that it breaks and judges is tried with a stack (chaos.fault.test.ts). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
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
