/** `holdfast lanes`: how each lane is, and what its last recoveries did. */
import { Command, InvalidArgumentError } from 'commander';
import { requireSchema, SchemaError } from '../../persister/migrate.ts';
import { laneToJson, renderLane } from '../../reconciler/lanes/render.ts';
import {
  isProblem,
  type LaneSources,
  type LaneStatus,
  readLaneStatus,
} from '../../reconciler/lanes/status.ts';
import { Registry } from '../../reconciler/registry.ts';
import { createPool, type Pool } from '../postgres/pool.ts';
import { connectRedis, whenReady } from '../redis/connect.ts';
import { LANES } from '../redis/keys.ts';
import { readLogBound } from '../runtime/config.ts';
import { EXIT } from './api.ts';
import { findTargets } from './audit.ts';

const HELP = `
Asks Redis, PostgreSQL and the Sentinels once each and shows what they say: whether the lane sells, where it
stands, how far the log and PostgreSQL are behind it and how near that is to the bound of the log
(HOLDFAST_LOG_BYTES_MAX, HOLDFAST_LOG_AGE_MAX; at 100 % nothing new is sold), the replicas, whom the Sentinels take for the primary, and
the last recoveries: when the cause was detected, and when each phase was reached. A store that does not answer
is named, and the rest is shown. It changes nothing.
Without options and variables it looks at the local stack that \`holdfast dev\` uses.

Exit codes:
  0  every lane is open
  1  a lane does not sell: it is not open, or its Redis takes no writes (too few replicas) or does not answer
  2  the command line is wrong, or no servers are named
  3  every lane is open, but a store or a Sentinel does not answer, or the database wants holdfast migrate

Examples:
  $ holdfast lanes
  $ holdfast lanes --recoveries 20 --lane 0
  $ holdfast lanes --json | jq '.lanes[].recoveries[0].phases'`;

const CONNECT_TIMEOUT_MS = 2_000;
const RECOVERIES_MAX = 1_000;

interface LanesOptions {
  readonly redisUrl?: string;
  readonly databaseUrl?: string;
  readonly lane?: number;
  readonly recoveries: number;
  readonly json?: boolean;
}

export function lanesCommand(): Command {
  return new Command('lanes')
    .description('show each lane: whether it sells, who is behind, its last recoveries')
    .option('--redis-url <url>', 'else REDIS_URL')
    .option('--database-url <url>', 'else DATABASE_URL')
    .option('--lane <n>', 'only this one', wholeNumber(LANES - 1))
    .option('--recoveries <n>', 'how many of each lane', wholeNumber(RECOVERIES_MAX), 5)
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP)
    .action(lanes);
}

function wholeNumber(most: number): (text: string) => number {
  return (text) => {
    if (!/^\d{1,6}$/.test(text) || Number(text) > most) {
      throw new InvalidArgumentError(`want a whole number from 0 to ${most}.`);
    }
    return Number(text);
  };
}

async function lanes(options: LanesOptions): Promise<void> {
  const { exitCode, text } = await showLanes(options, process.env);
  process.stdout.write(text);
  process.exitCode = exitCode;
}

/** What is printed, and what the command exits with. */
export async function showLanes(
  options: LanesOptions,
  env: NodeJS.ProcessEnv,
): Promise<{ readonly text: string; readonly exitCode: number }> {
  const targets = findTargets(options, env);
  const numbers = Array.from({ length: LANES }, (_, lane) => lane);
  const wanted = numbers.filter((lane) => options.lane === undefined || lane === options.lane);
  const localAddress = env.HOLDFAST_REDIS_LOCAL_ADDRESS || undefined;
  const bound = readLogBound(env);
  const logBound = { bytesMax: bound.logBytesMax, ageMsMax: bound.logAgeMsMax };
  const statuses = await readStatuses(
    { ...targets, localAddress, logBound },
    wanted,
    options.recoveries,
  );
  const text =
    options.json === true
      ? `${JSON.stringify({ lanes: statuses.map(laneToJson) }, null, 2)}\n`
      : statuses.map(renderLane).join('\n');
  return { text, exitCode: exitCodeOf(statuses) };
}

interface Targets extends Pick<LaneSources, 'logBound'> {
  readonly redisUrl: string;
  readonly databaseUrl: string;
  readonly localAddress: string | undefined;
}

async function readStatuses(
  { databaseUrl, localAddress, logBound, redisUrl }: Targets,
  wanted: readonly number[],
  recoveriesMax: number,
): Promise<LaneStatus[]> {
  const onError = () => undefined;
  const redis = connectRedis({ url: redisUrl, name: 'holdfast-lanes', localAddress, onError });
  const pool = createPool({
    url: databaseUrl,
    applicationName: 'holdfast-lanes',
    connectionsMax: 3,
    onIdleError: onError,
  });
  try {
    // A Redis that is away is what this command must be able to show.
    const away = await whenReady(redis, CONNECT_TIMEOUT_MS).then(
      () => undefined,
      (error: Error) => error,
    );
    const registry = new Registry(pool);
    const redisLocalAddress = localAddress;
    const sources = { redis, redisUrl, redisLocalAddress, pool, registry, logBound };
    const [schema, ...statuses] = await Promise.all([
      schemaProblem(pool),
      ...wanted.map((lane) => readLaneStatus({ ...sources, lane, recoveriesMax })),
    ]);
    return statuses.map((status) => withReasons(status, away, schema));
  } finally {
    redis.disconnect();
    await pool.end();
  }
}

/** Undefined also where it could not be asked: then that is the problem. */
async function schemaProblem(pool: Pool): Promise<string | undefined> {
  const error: unknown = await requireSchema(pool).catch((caught: unknown) => caught);
  return error instanceof SchemaError ? error.message : undefined;
}

/**
 * The client of Redis only says that it has no connection, and PostgreSQL that it has no such table;
 * why is known from the attempt to connect, and from a look at the schema.
 */
function withReasons(
  status: LaneStatus,
  away: Error | undefined,
  schema: string | undefined,
): LaneStatus {
  const isRedisAway = away !== undefined && isProblem(status.redis);
  return {
    ...status,
    ...(isRedisAway && { redis: { problem: away.message } }),
    ...(isRedisAway && status.state === 'unreachable' && { because: away.message }),
    ...(schema !== undefined &&
      isProblem(status.postgres) && {
        postgres: { problem: schema, answers: true as const },
      }),
  };
}

export function exitCodeOf(statuses: readonly LaneStatus[]): number {
  if (statuses.some(({ state }) => state !== 'open')) return EXIT.refused;
  const isSomebodyAway = statuses.some(
    ({ postgres, sentinels }) =>
      isProblem(postgres) || sentinels.some(({ problem }) => problem !== undefined),
  );
  return isSomebodyAway ? EXIT.unavailable : 0;
}
