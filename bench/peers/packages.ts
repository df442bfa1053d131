/**
 * Packages that only a peer needs, and that are too many for everybody's install (Medusa's are
 * about 630, of 290 MB): fetched with npm on demand, once for each user and list of versions.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from '../../deploy/local/paths.ts';

export type PackageVersions = Readonly<Record<string, string>>;

/** A slow line needs minutes for them; a hanging one must not hold the run for ever. */
const INSTALL_MS_MAX = 600_000;
const OUTPUT_BYTES_MAX = 16 * 2 ** 20;

/** Where they are, or will be. */
export function packagesDirectory(versions: PackageVersions, env: NodeJS.ProcessEnv): string {
  const hash = createHash('sha256').update(JSON.stringify(versions)).digest('hex').slice(0, 12);
  return join(cacheDirectory(env), `peer-packages-${hash}`);
}

export function hasPackages(versions: PackageVersions, env: NodeJS.ProcessEnv): boolean {
  return existsSync(packagesDirectory(versions, env));
}

/** Installs what is not there yet; rejects with npm's reason when it cannot. Runs no install scripts. */
export async function fetchPackages(
  versions: PackageVersions,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const directory = packagesDirectory(versions, env);
  if (existsSync(directory)) return;
  // Renamed when complete: an install that broke off is never taken for one.
  const draft = `${directory}.${process.pid}`;
  mkdirSync(draft, { recursive: true });
  try {
    const manifest = { name: 'holdfast-bench-peers', private: true, dependencies: versions };
    writeFileSync(join(draft, 'package.json'), JSON.stringify(manifest, null, 2));
    await runNpm(draft, env);
    if (!existsSync(directory)) renameSync(draft, directory);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

async function runNpm(directory: string, env: NodeJS.ProcessEnv): Promise<void> {
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel', 'error'];
  try {
    await promisify(execFile)('npm', ['install', '--prefix', directory, ...quiet], {
      cwd: directory,
      env,
      timeout: INSTALL_MS_MAX,
      maxBuffer: OUTPUT_BYTES_MAX,
    });
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    const [reason = ''] = (said === '' ? String(error) : said).split('\n');
    throw new Error(`npm could not install it: ${reason}`);
  }
}
