/**
 * Clocks that jump: processes started with libfaketime before them read their clock through a file
 * that says by how much it is off, and notice within a second when that changes. Only the wall clock
 * lies; what measures waits (CLOCK_MONOTONIC) does not, as after a step of NTP.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findRedisServer } from '../../../deploy/local/find-programs.ts';

/** Where Debian and others put it. */
const DIRECTORIES = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib',
  '/usr/local/lib',
];

const INSTALL_MS_MAX = 180_000;

export function findFaketime(): string | undefined {
  return DIRECTORIES.filter(existsSync)
    .map((directory) => join(directory, 'faketime'))
    .filter((directory) => existsSync(directory))
    .flatMap((directory) => readdirSync(directory).map((name) => join(directory, name)))
    .find((path) => path.endsWith('/libfaketime.so.1'));
}

/** Debian's package, where root may install without asking; elsewhere `clockObstacle` says what is missing. */
export function installFaketime(say: (text: string) => void): void {
  if (findFaketime() !== undefined || process.getuid?.() !== 0) return;
  if (!existsSync('/usr/bin/apt-get')) return;
  say('installing faketime (apt-get)');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { env, stdio: 'ignore', timeout: INSTALL_MS_MAX } as const;
  spawnSync('apt-get', ['-q', 'update'], options);
  spawnSync('apt-get', ['-q', '-y', 'install', '--no-install-recommends', 'faketime'], options);
}

export function clockObstacle(): string | undefined {
  if (findFaketime() !== undefined) return undefined;
  return 'libfaketime is not there (Debian: apt-get install faketime)';
}

/** Sets the clock of what reads this file. */
export function setClock(file: string, offsetS: number): void {
  writeFileSync(file, `${offsetS >= 0 ? '+' : '-'}${Math.abs(offsetS)}s\n`);
}

/** The environment of a process whose clock reads the file. */
export function clockEnvironment(file: string): Record<string, string> {
  return {
    LD_PRELOAD: findFaketime() ?? '',
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_CACHE_DURATION: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    // Its older name, which some versions read.
    DONT_FAKE_MONOTONIC: '1',
  };
}

/** Below a data node's directory. */
export const CLOCK_FILE = 'clock';

/**
 * A redis-server whose data nodes read their clocks from `clock` in their data directory; Sentinels
 * and `--version` run as they are.
 */
export function redisWithClock(directory: string): string {
  const server = findRedisServer(process.env);
  if (server === undefined) throw new Error('there is no redis-server');
  mkdirSync(directory, { recursive: true });
  const path = join(directory, 'redis-server');
  const environment = clockEnvironment(`$dir/${CLOCK_FILE}`);
  // jemalloc, which Debian's Redis is linked with, asks for the time before libfaketime can answer;
  // the C library's own allocator does not.
  const preload = `${environment.LD_PRELOAD} libc.so.6`;
  const variables = Object.entries({ ...environment, LD_PRELOAD: preload })
    .map(([name, value]) => `${name}="${value}"`)
    .join(' ');
  writeFileSync(
    path,
    [
      '#!/bin/sh',
      'dir=; previous=',
      'for word; do',
      '  [ "$previous" != --dir ] || dir=$word',
      `  [ "$word" != --sentinel ] || exec ${server} "$@"`,
      '  previous=$word',
      'done',
      `[ -n "$dir" ] || exec ${server} "$@"`,
      `[ -e "$dir/${CLOCK_FILE}" ] || echo +0s > "$dir/${CLOCK_FILE}"`,
      `exec env ${variables} ${server} "$@"`,
      '',
    ].join('\n'),
  );
  chmodSync(path, 0o755);
  return path;
}
