/**
 * How long recovery takes, and what it costs: `node dist/reconciler/testing/rate.js [holds] [cells]`.
 * On the PostgreSQL that DATABASE_URL names (an empty database is filled first, one that was filled
 * is taken as it is) and the Redis that REDIS_URL names, which is EMPTIED. Prints one JSON object.
 *
 *   empty      Redis knows nothing: everything is copied
 *   promoted   another replication id, as after a clean promotion: nothing to copy
 *   lost_tail  Redis stands where PostgreSQL was before its last `tail` holds: these are copied
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import type { Redis } from 'ioredis';
import { createPool, type Pool } from '../../engine/postgres/pool.ts';
import { connectRedis, whenReady } from '../../engine/redis/connect.ts';
import { laneKeys } from '../../engine/redis/keys.ts';
import { laneScripts } from '../../engine/redis/lane-scripts.ts';
import { noCrashPoint } from '../../engine/runtime/crash-point.ts';
import { createEmbeddedLog } from '../../persister/embedded-log.ts';
import { migrate } from '../../persister/migrate.ts';
import { RECOVERY_LIMITS } from '../claim.ts';
import { showProgress } from '../copy-progress.ts';
import { Registry } from '../registry.ts';
import { LaneWatcher, WATCH_LIMITS } from '../watch.ts';
import { seedHolds } from './seed.ts';

const LANE = 0;
const TICKS_PER_S = 100;
const COMMAND_MS_MAX = 60_000;
/** What a sale at 30,000 a second makes in three seconds. */
const TAIL_HOLDS = 100_000;

const holds = Number(process.argv[2] ?? 100_000);
const cells = Number(process.argv[3] ?? 40_000);
const ignore = () => undefined;

function requireVariable(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set`);
  return value;
}

/** CPU seconds of a process of this machine. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

function rssBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

interface Servers {
  readonly redis: Redis;
  readonly pool: Pool;
  readonly watcher: LaneWatcher;
}

async function measure({ redis, pool, watcher }: Servers, name: string) {
  const pid = Number(/process_id:(\d+)/.exec(await redis.info('server'))?.[1]);
  await redis.config('SET', 'slowlog-log-slower-than', '1000');
  await redis.slowlog('RESET');
  await redis.config('RESETSTAT');
  let rssMax = 0;
  const watching = setInterval(() => {
    rssMax = Math.max(rssMax, process.memoryUsage.rss());
  }, 20);
  const before = { ms: performance.now(), node: process.cpuUsage(), redis: cpuOf(pid) };
  const looked = await watcher.runOnce(new AbortController().signal);
  const ms = performance.now() - before.ms;
  const node = process.cpuUsage(before.node);
  const redisS = cpuOf(pid) - before.redis;
  clearInterval(watching);
  if (looked.kind !== 'recovery' || looked.report.outcome !== 'opened') {
    throw new Error(`${name}: ${JSON.stringify(looked)}`);
  }
  const copied = looked.report.steps.find(({ step }) => step === 'copy')?.detail ?? {};
  const rows = ['products', 'cells', 'records'].reduce((n, of) => n + Number(copied[of] ?? 0), 0);
  const slow = (await redis.slowlog('GET', 1_000)) as [number, number, number, string[]][];
  const scripts = slow.map(([, , us]) => us).sort((a, b) => b - a);
  const stats = await redis.info('commandstats');
  const { rows: held } = await pool.query<{ n: number }>(
    `SELECT count(*) AS n FROM reservations WHERE status = 'held'`,
  );
  const perRow = (s: number) => (rows === 0 ? null : Number(((s * 1e6) / rows).toFixed(2)));
  return {
    case: name,
    seconds: Number((ms / 1_000).toFixed(3)),
    live_holds: held[0]?.n,
    copied,
    rows_per_s: rows === 0 ? null : Math.round(rows / (ms / 1_000)),
    redis_cpu_s: Number(redisS.toFixed(2)),
    redis_cpu_us_per_row: perRow(redisS),
    redis_rss_mb: Math.round(rssBytes(pid) / 2 ** 20),
    script_ms_max: (scripts[0] ?? 0) / 1_000,
    script_us_mean: Number(/evalsha:.*usec_per_call=([\d.]+)/.exec(stats)?.[1] ?? 0),
    node_cpu_s: Number(((node.user + node.system) / 1e6).toFixed(2)),
    node_cpu_us_per_row: perRow((node.user + node.system) / 1e6),
    node_rss_mb_max: Math.round(rssMax / 2 ** 20),
    steps: looked.report.steps.map(({ step, took_ms }) => `${step} ${took_ms}`).join(', '),
    load_average_1m: Number(loadavg()[0]?.toFixed(1)),
  };
}

/** As a replica has it that was promoted before the last entries had reached it. */
async function loseTail({ redis, pool }: Servers): Promise<void> {
  const { rows } = await pool.query<{ epoch: number; seq: number; nonce: Buffer }>(
    `SELECT epoch, seq, nonce FROM entries
     WHERE (epoch, seq) <= (SELECT epoch, seq FROM (
       SELECT epoch, seq, row_number() OVER (ORDER BY epoch DESC, seq DESC) AS n FROM reservations) r
       WHERE n <= $1 ORDER BY n DESC LIMIT 1)
     ORDER BY epoch DESC, seq DESC LIMIT 1`,
    [TAIL_HOLDS],
  );
  const at = rows[0];
  if (at === undefined) throw new Error('there is no entry to go back to');
  const { meta, log } = laneKeys(LANE);
  await redis.hset(meta, 'epoch', at.epoch, 'seq', at.seq, 'nonce', at.nonce);
  await redis.del(log);
}

const pool = createPool({
  url: requireVariable('DATABASE_URL'),
  applicationName: 'recovery-rate',
  connectionsMax: 6,
  onIdleError: ignore,
});
const redis = connectRedis(
  { url: requireVariable('REDIS_URL'), name: 'recovery-rate', onError: ignore },
  { commandTimeout: COMMAND_MS_MAX },
);
try {
  await migrate(pool);
  await whenReady(redis, 5_000);
  const { rows } = await pool.query<{ n: number }>('SELECT count(*) AS n FROM reservations');
  if (rows[0]?.n === 0) await seedHolds(pool, { holds, cells, linesMax: 3 });
  await pool.query('ANALYZE');
  await redis.flushall('SYNC');
  const watcher = new LaneWatcher({
    lane: LANE,
    state: laneScripts(redis, LANE),
    log: createEmbeddedLog({ pool }),
    pool,
    registry: new Registry(pool),
    random: randomBytes,
    crashPoint: noCrashPoint,
    limits: RECOVERY_LIMITS,
    quorum: () => 0,
    onProgress: (progress) => void process.stderr.write(`${showProgress(progress)}\n`),
    leader: 'rate',
    watch: WATCH_LIMITS,
    onReport: ignore,
    onError: ignore,
  });
  const servers = { redis, pool, watcher };
  const report = [await measure(servers, 'empty')];
  await redis.call('DEBUG', 'CHANGE-REPL-ID');
  report.push(await measure(servers, 'promoted'));
  await loseTail(servers);
  await redis.call('DEBUG', 'CHANGE-REPL-ID');
  report.push(await measure(servers, 'lost_tail'));
  const conditions = { node: process.version, cpus: cpus().length, at: new Date().toISOString() };
  process.stdout.write(`${JSON.stringify({ conditions, report }, null, 2)}\n`);
} finally {
  redis.disconnect();
  await pool.end();
}
