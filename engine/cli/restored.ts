/** `holdfast restored`: PostgreSQL came back from a backup; make it safe to go on. */
import { Command } from 'commander';
import { createPersister } from '../../persister/persister.ts';
import {
  beginLogAnew,
  type NumberedOn,
  numberOn,
  parkForRestore,
  planRestore,
  type Surroundings,
  showNumberedOn,
} from '../../reconciler/restored.ts';
import { readBounds } from '../kafka/bounds.ts';
import { connectKafka } from '../kafka/connect.ts';
import { createPool, type Pool } from '../postgres/pool.ts';
import { readPosition } from '../postgres/position.ts';
import { connectRedis, whenReady } from '../redis/connect.ts';
import { laneScripts } from '../redis/lane-scripts.ts';
import type { LaneState } from '../redis/lane-state.ts';
import { type Config, readConfig } from '../runtime/config.ts';
import { createLogger, type Logger } from '../runtime/log.ts';
import { CommandError, EXIT } from './api.ts';
import { type LogRole, startLogRole } from './log-role.ts';

const LANE = 0;
const STORE_WAIT_MS = 10_000;
/** How long the position may stand still while PostgreSQL catches up. */
const STALLED_MS = 30_000;
const POLL_MS = 100;
/** Behind every entry that can be: then `tail` reads none. */
const NO_ENTRIES = { epoch: Number.MAX_SAFE_INTEGER, seq: 0 };

const HELP = `
Run it once, after the backup is in place and before relay, persister, recovery and engines are started. It parks the
lane, lets PostgreSQL read on from where the backup stood to the end of the log, and sees to it that no number of a
recovery is given twice. Then start the processes: recovery brings Redis to where PostgreSQL is, and opens the lane.

  (default)      nothing is given up: Kafka, or embedded the stream in Redis, has what came after the backup
  --discard-log  back to the backup: what came after it is given up. Redis must be empty, and with Kafka
                 HOLDFAST_LOG_TOPIC must name a new topic, for all processes

Exit codes: 0 done; 1 refused, with the reason, and the lane is parked; 2 usage or environment; 3 a store is away

Example (all processes are stopped; pg_restore's own --clean stumbles over partitions):
  $ psql "$DATABASE_URL" -c 'DROP SCHEMA public CASCADE; CREATE SCHEMA public'
  $ pg_restore --single-transaction -d "$DATABASE_URL" backup.dump
  $ holdfast restored`;

export function restoredCommand(): Command {
  return new Command('restored')
    .description('after PostgreSQL was restored from a backup: make it safe to go on')
    .option('--discard-log', 'give up what came after the backup')
    .addHelpText('after', HELP)
    .action(async (options: { discardLog?: true }) => {
      const config = readConfig(process.env);
      const log = createLogger('restored', config.logLevel === 'info' ? 'warn' : config.logLevel);
      const done = await afterRestore({ config, log, isLogDiscarded: options.discardLog === true });
      process.stdout.write(`${showNumberedOn(done)}\nstart relay, persister, recovery, engines\n`);
    });
}

export interface AfterRestoreOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly isLogDiscarded: boolean;
}

/** Throws CommandError when it refuses; then the lane stays parked. */
export async function afterRestore(options: AfterRestoreOptions): Promise<NumberedOn> {
  const { config, log } = options;
  const redis = connectRedis({
    url: config.redisUrl,
    localAddress: config.redisLocalAddress,
    name: 'holdfast-restored',
    onError: (error) => log.warn({ err: error }, 'redis'),
  });
  const pool = createPool({
    url: config.databaseUrl,
    applicationName: 'holdfast-restored',
    connectionsMax: 3,
    onIdleError: (error) => log.warn({ err: error }, 'postgres'),
  });
  let logRole: LogRole | undefined;
  try {
    await whenReady(redis, STORE_WAIT_MS);
    const state = laneScripts(redis, LANE);
    await parkForRestore(pool, LANE);
    logRole = await startLogRole({ config, log, pool, state, name: 'holdfast-restored' });
    return await fence(options, pool, state, logRole);
  } finally {
    await logRole?.close();
    redis.disconnect();
    await pool.end();
  }
}

async function fence(
  { config, log, isLogDiscarded }: AfterRestoreOptions,
  pool: Pool,
  state: LaneState,
  logRole: LogRole,
): Promise<NumberedOn> {
  const seen = await lookAround(config, log, pool, state);
  const plan = planRestore(seen, isLogDiscarded);
  if (plan.kind === 'refuse') throw new CommandError(plan.reason, EXIT.refused);
  if (plan.kind === 'begin_anew') await beginLogAnew(pool, LANE);
  else if (plan.until !== undefined) await catchUp(plan.until, { pool, state, log }, logRole);
  return numberOn(pool, LANE, seen.redis.term);
}

async function lookAround(
  config: Config,
  log: Logger,
  pool: Pool,
  state: LaneState,
): Promise<Surroundings> {
  const position = await readPosition(pool, LANE);
  const redis = await state.tail(NO_ENTRIES, 1);
  if (config.kafkaBrokers.length === 0) return { position, redis };
  const kafka = connectKafka({
    brokers: config.kafkaBrokers,
    clientId: 'holdfast-restored',
    onLog: (level, message, details) => log[level]({ kafka: details }, message),
  });
  return { position, redis, log: await readBounds(kafka, config.logTopic, LANE) };
}

/** Runs the persister until PostgreSQL has read all that the log had when this began. */
async function catchUp(
  until: bigint,
  deps: { readonly pool: Pool; readonly state: LaneState; readonly log: Logger },
  logRole: LogRole,
): Promise<void> {
  const source = logRole.openSource(LANE);
  const persister = createPersister({ ...deps, lane: LANE, source, form: logRole.form });
  const stopping = new AbortController();
  const running = persister.run(stopping.signal);
  try {
    await whenRead(deps.pool, until);
  } finally {
    stopping.abort();
    await running;
    await source.close();
  }
}

async function whenRead(pool: Pool, until: bigint): Promise<void> {
  let last = -1n;
  let movedAtMs = performance.now();
  for (;;) {
    const { offset, parked } = await readPosition(pool, LANE);
    if (parked !== undefined) throw new CommandError(`PostgreSQL stopped: ${parked}`, EXIT.refused);
    if (offset >= until) return;
    if (offset !== last) {
      last = offset;
      movedAtMs = performance.now();
    }
    if (performance.now() - movedAtMs > STALLED_MS) {
      throw new CommandError(
        `PostgreSQL stands at offset ${offset} of ${until} for ${STALLED_MS / 1_000} s: see its log, and the persister's warnings above`,
        EXIT.refused,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
