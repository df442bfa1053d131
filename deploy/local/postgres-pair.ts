/**
 * Two PostgreSQL servers of which one follows the other. Which one leads is read from the clusters
 * themselves, because a standby may have been promoted since the last start, and the old primary
 * must not come back as a second one.
 */
import { existsSync, readdirSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isStandby, type PostgresOptions, postgresCommand, postgresUrl } from './postgres.ts';
import { readServerRecord, type ServerCommand } from './server-process.ts';

/** A number: the timeline of a cluster that is a primary; each promotion begins a new one. */
export type ClusterState = 'none' | 'standby' | number;

/**
 * Which of two clusters leads; the first where there is none yet. A standby alone leads too: it
 * takes no writes before it is promoted, but an empty primary beside it would hide what it has.
 */
export function primaryOf(first: ClusterState, second: ClusterState): 'first' | 'second' {
  if (first === 'none' && second !== 'none') return 'second';
  if (typeof second !== 'number') return 'first';
  return typeof first === 'number' && first >= second ? 'first' : 'second';
}

/** The server directory, of these two, whose cluster is the primary. */
export function chooseCluster(first: string, second: string): string {
  return primaryOf(clusterState(first), clusterState(second)) === 'first' ? first : second;
}

/** As DATABASE_URL names several: clients take the one that is the primary. */
export function pairUrl(ports: readonly number[]): string {
  const hosts = ports.map((port) => `127.0.0.1:${port}`).join(',');
  return postgresUrl(0).replace('127.0.0.1:0', hosts);
}

/**
 * Makes the cluster a copy of the primary's where it is none, and has it follow. A cluster that was
 * itself a primary, and was replaced, is kept beside it: it may hold what never reached the standby.
 */
export async function standbyCommand(
  options: PostgresOptions,
  primaryDirectory: string,
): Promise<ServerCommand> {
  const primaryPort = readServerRecord(primaryDirectory)?.port;
  if (primaryPort === undefined) throw new Error(`no PostgreSQL runs in ${primaryDirectory}`);
  if (typeof clusterState(options.directory) === 'number') setAside(options.directory);
  return await postgresCommand({ ...options, primaryPort });
}

function clusterState(directory: string): ClusterState {
  const cluster = join(directory, 'cluster');
  if (!existsSync(join(cluster, 'PG_VERSION'))) return 'none';
  if (isStandby(directory)) return 'standby';
  // A promotion leaves a file that says where the new timeline left the old one: 00000002.history.
  const histories = readdirSync(join(cluster, 'pg_wal'))
    .filter((name) => /^[0-9A-F]{8}\.history$/.test(name))
    .map((name) => Number.parseInt(name, 16));
  return Math.max(1, ...histories);
}

function setAside(directory: string): void {
  const cluster = realpathSync(join(directory, 'cluster'));
  const aside = `${cluster}.replaced`;
  rmSync(aside, { recursive: true, force: true });
  renameSync(cluster, aside);
}
