/** Puts an older copy of a PostgreSQL in its place, as if a standby that was behind were promoted. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestPostgres } from '../../engine/testing/servers.ts';

export interface Standby {
  readonly directory: string;
}

/** A standby as it stands now; the server is stopped for a moment. */
export async function copyStandby(postgres: TestPostgres): Promise<Standby> {
  const directory = join(postgres.directory, 'standby');
  await postgres.stop();
  rmSync(directory, { recursive: true, force: true });
  copyCluster(clusterOf(postgres), directory);
  await postgres.start();
  return { directory };
}

/** It takes the server's place, on a timeline of its own. */
export async function promote(postgres: TestPostgres, standby: Standby): Promise<void> {
  const cluster = clusterOf(postgres);
  await postgres.stop();
  rmSync(cluster, { recursive: true });
  copyCluster(standby.directory, cluster);
  // Recovery from an archive that has nothing ends at once, and begins a new timeline. Nobody is let
  // in before that, or the server would seem ready while it is still read-only.
  appendFileSync(
    join(cluster, 'postgresql.auto.conf'),
    `restore_command = 'false'\nhot_standby = off\n`,
  );
  writeFileSync(join(cluster, 'recovery.signal'), '');
  await postgres.start();
}

function clusterOf(postgres: TestPostgres): string {
  return realpathSync(join(postgres.directory, 'cluster'));
}

/** With its owner, who is not us when we are root. */
function copyCluster(from: string, to: string): void {
  execFileSync('cp', ['-a', from, to]);
}
