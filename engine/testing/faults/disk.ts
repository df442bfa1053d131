/**
 * Data directories that fill up: each node's becomes a small file system in memory, which one file
 * can fill. That needs the right to mount.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestRedisNode } from '../redis-group.ts';
import { currentTestRun } from '../test-run.ts';

const SIZE = '48m';
const FILLER = 'filler';
const CHUNK = Buffer.alloc(1 << 20);

export function mountObstacle(): string | undefined {
  if (process.platform !== 'linux') return 'a small file system is only mounted on Linux';
  if (process.getuid?.() !== 0) return 'only root may mount a small file system';
  const at = mkdtempSync('/tmp/holdfast-mount-');
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', at]).status === 0;
  if (isMounted) spawnSync('umount', [at]);
  rmSync(at, { recursive: true, force: true });
  return isMounted ? undefined : 'mounting is not permitted here';
}

/** Moves the data of a node that does not run onto a small file system at the same place. */
export function shrinkDisk(node: TestRedisNode): void {
  const aside = mkdtempSync(join(currentTestRun().directory, 'aside-'));
  cpSync(node.dir, aside, { recursive: true });
  mustRun('mount', ['-t', 'tmpfs', '-o', `size=${SIZE}`, 'tmpfs', node.dir]);
  process.prependOnceListener('exit', () => releaseDisk(node));
  cpSync(aside, node.dir, { recursive: true });
}

/** Writes until nothing more fits. */
export function fillDisk(node: TestRedisNode): void {
  const path = join(node.dir, FILLER);
  try {
    for (;;) writeFileSync(path, CHUNK, { flag: 'a' });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
  }
  // The last bytes, which a whole chunk did not fit in.
  spawnSync('sh', ['-c', `cat /dev/zero >> '${path}' 2>/dev/null`]);
}

export function emptyDisk(node: TestRedisNode): void {
  rmSync(join(node.dir, FILLER), { force: true });
}

/** At once, whoever still has files there. */
export function releaseDisk(node: TestRedisNode): void {
  spawnSync('umount', ['-l', node.dir], { stdio: 'ignore' });
}

function mustRun(command: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
}
