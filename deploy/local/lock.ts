/** One process at a time starts or stops servers in a directory. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from './deadline.ts';
import { identifySelf, isProcessIdentity, isRunning } from './process-identity.ts';

/** The holder may be downloading Kafka on a slow line. */
const LOCK_TIMEOUT_MS = 900_000;

/** Runs `action` while holding the directory's lock; a lock whose holder is gone does not count. */
export async function withLock<T>(directory: string, action: () => Promise<T>): Promise<T> {
  const path = join(directory, 'lock');
  const isTaken = await waitFor(() => tryLock(path), LOCK_TIMEOUT_MS);
  if (isTaken === undefined) {
    throw new Error(
      `another process has been starting or stopping the stack for ${LOCK_TIMEOUT_MS / 60_000} minutes (${path}): ${readText(path)}`,
    );
  }
  try {
    return await action();
  } finally {
    rmSync(path, { force: true });
  }
}

function tryLock(path: string): true | undefined {
  try {
    writeFileSync(path, JSON.stringify(identifySelf()), { flag: 'wx' });
    return true;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  // An empty lock is one whose holder is just writing its name into it.
  const text = readText(path);
  if (text !== '' && !isHeld(text)) rmSync(path, { force: true });
  return undefined;
}

function isHeld(text: string): boolean {
  try {
    const holder: unknown = JSON.parse(text);
    return isProcessIdentity(holder) && isRunning(holder);
  } catch {
    return false;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
