/**
 * A copy of the checkout in which bugs can be planted: what git has or would take, and links to
 * the installed packages. The checkout itself is only read.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const NAMES_BYTES_MAX = 64 * 1024 * 1024;

export interface CheckoutCopy {
  readonly directory: string;
  read(path: string): string;
  write(path: string, text: string): void;
  remove(): void;
}

export function copyCheckout(root: string): CheckoutCopy {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-mutants-'));
  // Servers that run as another user may be started with this as their working directory.
  chmodSync(directory, 0o755);
  for (const path of filesOf(root)) {
    const to = join(directory, path);
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(join(root, path), to);
  }
  linkPackages(join(root, 'node_modules'), join(directory, 'node_modules'));
  return {
    directory,
    read: (path) => readFileSync(join(directory, path), 'utf8'),
    write: (path, text) => writeFileSync(join(directory, path), text),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

function filesOf(root: string): string[] {
  const { status, stdout, stderr } = spawnSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    { cwd: root, encoding: 'utf8', maxBuffer: NAMES_BYTES_MAX },
  );
  if (status !== 0) throw new Error(`git ls-files failed in ${root}: ${stderr}`);
  // A file that was deleted but is still in the index is listed too.
  return stdout.split('\0').filter((path) => path !== '' && existsSync(join(root, path)));
}

/**
 * A directory of links, one a package, instead of one link to the directory: whatever is written
 * or removed there stays in the copy.
 */
function linkPackages(from: string, to: string): void {
  mkdirSync(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (entry.name.startsWith('.vite')) continue;
    if (entry.isFile()) copyFileSync(join(from, entry.name), join(to, entry.name));
    else symlinkSync(join(from, entry.name), join(to, entry.name));
  }
}
