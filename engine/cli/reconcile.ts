/** `holdfast reconcile`: compare, plan, and repair when told to; once, or on a schedule. */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import Table from 'cli-table3';
import { Command, InvalidArgumentError } from 'commander';
import { requireSchema, SchemaError } from '../../persister/migrate.ts';
import { CAUSES } from '../../reconciler/reconcile/causes.ts';
import { renderHtml } from '../../reconciler/reconcile/html.ts';
import { UnknownSkus } from '../../reconciler/reconcile/known-skus.ts';
import { LaneClosed } from '../../reconciler/reconcile/lane-look.ts';
import type { OutsideLog } from '../../reconciler/reconcile/log-look.ts';
import { type ReconcileGauges, registerGauges } from '../../reconciler/reconcile/metrics.ts';
import type { Progress, ReconcileOptions } from '../../reconciler/reconcile/reconcile.ts';
import { isLevel, type ReconcileReport, renderReport } from '../../reconciler/reconcile/report.ts';
import {
  FULL_EVERY,
  run,
  runOnce,
  type Schedule,
  type ScheduleDeps,
} from '../../reconciler/reconcile/schedule.ts';
import { StoredBehind } from '../../reconciler/reconcile/stored.ts';
import { readBounds } from '../kafka/bounds.ts';
import { connectKafka } from '../kafka/connect.ts';
import { LOG_TOPIC } from '../log/event-log.ts';
import { createPool } from '../postgres/pool.ts';
import { connectRedis, whenReady } from '../redis/connect.ts';
import { LANES } from '../redis/keys.ts';
import { crashPointFrom } from '../runtime/crash-point.ts';
import { CommandError } from './api.ts';
import { type AuditTargets, findTargets } from './audit.ts';
import { createRoleMeter } from './role-metrics.ts';

/** The command's own: a schedule's monitor must tell drift from "could not compare". */
const EXIT_DIFFERENT = 1;
const EXIT_NOT_COMPARED = 2;

const CAUSE_WIDTH = Math.max(...Object.keys(CAUSES).map(({ length }) => length));
/** Of a cell of the table, left and right. */
const PADDING = 2;

const HELP = `
Compares Redis with PostgreSQL record by record while the lane sells: cells, reservations, stock operations,
deadlines; and within PostgreSQL balances, ledger and lines. It prints a plan, and changes nothing without --apply.
Each repair is guarded by what was seen, goes through the lane's log, and is remembered by the ledger with the
reason "reconcile: <cause>". Running it again changes nothing. What cannot be decided is left alone, and told.
Each run is kept in the table reconciliations. Without options and variables it looks at the local stack.
Where Kafka is the log it is asked whether it is still the one that PostgreSQL has read. --since compares
the rows that PostgreSQL changed since then and still has, so what was edited in Redis alone or deleted in PostgreSQL is
not seen, and the report says so; with --every the span counts back from each run, and every sixth run (--full-every),
the first among them, compares everything.

Causes:
${Object.entries(CAUSES)
  .map(([cause, { proof }]) => `  ${cause.padEnd(CAUSE_WIDTH)} ${proof}`)
  .join('\n')}

Exit codes:
  0  nothing differs; with --apply: nothing is left
  1  something differs, or is left, or the log is another one
  2  not everything could be compared (the lane is closed, PostgreSQL is behind, a store is away), or usage; a Kafka
     that is away is said, and the rest compared and told

Examples:
  $ holdfast reconcile                          what differs, and what would be done
  $ holdfast reconcile --apply --html drift.html
  $ holdfast reconcile --sku TEA --sku CUP --since 2h --json | jq '.by_cause'
  $ holdfast reconcile --every 10m --apply      stay, and repair every ten minutes
  $ holdfast reconcile --every 1m --since 10m --full-every 60     what changes each minute, all of it each hour
  $ HOLDFAST_METRICS_PORT=9471 holdfast reconcile --every 10m     the drift gauges at /metrics`;

const CONNECT_TIMEOUT_MS = 3_000;
const CONNECTIONS = 4;
const PROGRESS_MS = 500;

interface Options {
  readonly redisUrl?: string;
  readonly databaseUrl?: string;
  readonly dir?: string;
  readonly apply?: boolean;
  readonly sku?: readonly string[];
  readonly since?: Since;
  readonly fullEvery?: number;
  readonly kafkaBrokers?: string;
  readonly json?: boolean;
  readonly html?: string;
  readonly lane: number;
  readonly every?: number;
}

export function reconcileCommand(): Command {
  return new Command('reconcile')
    .description('find drift between the stores while they sell, name its cause, and repair it')
    .option('--apply', 'repair what the plan says')
    .option('--sku <sku>', 'only this SKU and its reservations; may be given again', collect)
    .option(
      '--since <when>',
      'only what PostgreSQL changed since: 15m, 2h, 3d, or a time',
      readSince,
    )
    .option('--every <interval>', 'run again and again: 30s, 10m, 1h', readDuration)
    .option(
      '--full-every <n>',
      `with --every and --since: each n-th run compares everything (default: ${FULL_EVERY})`,
      readCount,
    )
    .option('--json', 'print the report as one JSON object')
    .option('--html <file>', 'write the report as one HTML file too')
    .option('--lane <n>', 'the lane', readLane, 0)
    .option('--redis-url <url>', 'else REDIS_URL')
    .option('--database-url <url>', 'else DATABASE_URL')
    .option('--kafka-brokers <list>', 'host:port,... where Kafka is the log; else KAFKA_BROKERS')
    .option('--dir <directory>', "else the local stack's data in this directory")
    .addHelpText('after', HELP)
    .action(command);
}

function collect(sku: string, before: readonly string[] = []): string[] {
  return [...before, sku];
}

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `10m` in ms. */
export function readDuration(text: string): number {
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const ms = Number(count) * (UNITS_MS[unit] ?? Number.NaN);
  if (!(ms > 0))
    throw new InvalidArgumentError('want a number and s, m, h or d: 30s, 10m, 2h, 3d.');
  return ms;
}

/** A time, in ms since 1970, and the span back to it where it was given as one. */
export interface Since {
  readonly timeMs: number;
  readonly spanMs?: number;
}

/** A duration back from now, or a time as ISO 8601 has it. */
export function readSince(text: string): Since {
  if (/^\d+[smhd]$/.test(text)) {
    const spanMs = readDuration(text);
    return { timeMs: Date.now() - spanMs, spanMs };
  }
  const timeMs = Date.parse(text);
  if (Number.isNaN(timeMs))
    throw new InvalidArgumentError('want 15m, 2h, 3d, or 2026-11-21T18:00:00Z.');
  return { timeMs };
}

function readCount(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('want a whole number above 0.');
  return Number(text);
}

function readLane(text: string): number {
  const lane = Number(text);
  if (!/^\d+$/.test(text) || lane >= LANES) {
    throw new InvalidArgumentError(`want a whole number below ${LANES}.`);
  }
  return lane;
}

async function command(options: Options): Promise<void> {
  const { every, since, fullEvery } = options;
  if (every !== undefined && since !== undefined && since.spanMs === undefined) {
    throw new CommandError(
      '--every with --since wants a span (--since 2h): each run looks back from its own start',
      EXIT_NOT_COMPARED,
    );
  }
  if (fullEvery !== undefined && (every === undefined || since === undefined)) {
    throw new CommandError('--full-every goes with --every and --since', EXIT_NOT_COMPARED);
  }
  if (options.html !== undefined) requireWritable(options.html);
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => stopping.abort());
  }
  await withDeps(options, stopping.signal, async (deps) => {
    if (options.every === undefined) await once(deps);
    else {
      const spans = { sinceMs: options.since?.spanMs, fullEvery: options.fullEvery ?? FULL_EVERY };
      await schedule(deps, { everyMs: options.every, ...spans }, stopping.signal);
    }
  });
}

/** The role: it shows its gauges at HOLDFAST_METRICS_PORT, like the others that serve no HTTP. */
async function schedule(deps: ScheduleDeps, when: Schedule, signal: AbortSignal): Promise<void> {
  const meter = createRoleMeter();
  const gauges: ReconcileGauges = registerGauges(meter.metrics.gauge);
  const port = process.env.HOLDFAST_METRICS_PORT;
  const served = await meter.serve({
    host: process.env.HOLDFAST_HOST ?? '127.0.0.1',
    metricsPort: port === undefined || port === '' ? undefined : Number(port),
  });
  const watched: ScheduleDeps = {
    ...deps,
    onReport: (report) => {
      gauges.onReport(report);
      deps.onReport(report);
    },
    onFailure: (error) => {
      gauges.onFailure();
      deps.onFailure(error);
    },
  };
  try {
    await run(watched, when, signal);
  } finally {
    await served.close();
  }
}

async function once(deps: ScheduleDeps): Promise<void> {
  const report = await runOnce(deps);
  if (!isLevel(report)) process.exitCode = EXIT_DIFFERENT;
  else if (report.log.state === 'not_seen') process.exitCode = EXIT_NOT_COMPARED;
}

function print(report: ReconcileReport, options: Options): void {
  if (options.html !== undefined) writeHtml(options.html, renderHtml(report));
  process.stdout.write(
    options.json === true
      ? `${JSON.stringify(report, null, 2)}\n`
      : renderReport(report, drawTable),
  );
}

/** Before the run, which may take minutes: a file that cannot be written is told at once. */
function requireWritable(file: string): void {
  orRefuse(file, () => closeSync(openSync(file, 'a')));
}

function writeHtml(file: string, html: string): void {
  orRefuse(file, () => writeFileSync(file, html));
}

function orRefuse(file: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(`--html ${file} cannot be written: ${reason}`, EXIT_NOT_COMPARED);
  }
}

export function drawTable([head = [], ...rows]: string[][]): string {
  // Colours are for people: NO_COLOR and pipes get none.
  const isPlain = process.env.NO_COLOR !== undefined || process.stdout.isTTY !== true;
  const table = new Table({
    head,
    wordWrap: true,
    colWidths: [CAUSE_WIDTH + PADDING, 30, 24, 24, 24, 34],
    ...(isPlain && { style: { head: [], border: [] } }),
  });
  table.push(...rows);
  return table.toString();
}

async function withDeps(
  options: Options,
  signal: AbortSignal,
  act: (deps: ScheduleDeps) => Promise<void>,
): Promise<void> {
  const targets = findTargets(options, process.env);
  const onError = (): undefined => undefined;
  const name = 'holdfast-reconcile';
  const localAddress = process.env.HOLDFAST_REDIS_LOCAL_ADDRESS || undefined;
  const redis = connectRedis({ url: targets.redisUrl, name, localAddress, onError });
  const pool = createPool({
    url: targets.databaseUrl,
    applicationName: name,
    connectionsMax: CONNECTIONS,
    onIdleError: onError,
  });
  const isScheduled = options.every !== undefined;
  const told: ReconcileOptions = {
    apply: options.apply === true,
    ...(options.sku !== undefined && { skus: options.sku }),
    // A schedule counts back from each of its runs.
    ...(options.since !== undefined && !isScheduled && { sinceMs: options.since.timeMs }),
  };
  try {
    await whenReady(redis, CONNECT_TIMEOUT_MS);
    await requireSchema(pool);
    await act({
      redis,
      pool,
      lane: options.lane,
      signal,
      options: told,
      log: outsideLog(targets, options.lane),
      crash: crashPointFrom(process.env),
      onProgress: progressLine(),
      onReport: (report) => print(report, options),
      onFailure: ({ message }) => {
        if (isScheduled) process.stderr.write(`could not compare: ${message}\n`);
      },
    });
  } catch (error) {
    throw explain(error);
  } finally {
    redis.disconnect();
    await pool.end();
  }
}

/** Undefined where the log is the stream in Redis. */
function outsideLog(
  { kafkaBrokers: brokers, logTopic: topic = LOG_TOPIC }: AuditTargets,
  lane: number,
): OutsideLog | undefined {
  if (brokers.length === 0) return undefined;
  const kafka = connectKafka({ brokers, clientId: 'holdfast-reconcile', onLog: () => undefined });
  return {
    name: `Kafka topic ${topic} at ${brokers.join(',')}`,
    bounds: () => readBounds(kafka, topic, lane),
  };
}

function explain(error: unknown): unknown {
  const isBug = error instanceof TypeError || error instanceof RangeError;
  if (isBug || error instanceof CommandError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  if (error instanceof UnknownSkus || error instanceof SchemaError) {
    return new CommandError(reason, EXIT_NOT_COMPARED);
  }
  const isKnown = error instanceof LaneClosed || error instanceof StoredBehind;
  const what = isKnown ? 'The stores cannot be compared now' : 'A store failed';
  return new CommandError(`${what}: ${reason}`, EXIT_NOT_COMPARED);
}

/** One line on stderr that says how far it is; nothing where nobody watches. */
function progressLine(): (progress: Progress) => void {
  if (process.stderr.isTTY !== true) return () => undefined;
  let shownMs = 0;
  return ({ phase, compared, differences }) => {
    if (performance.now() - shownMs < PROGRESS_MS) return;
    shownMs = performance.now();
    const count = compared.toLocaleString('en');
    process.stderr.write(`\r\x1b[K${count} compared, ${differences} differences, ${phase}`);
  };
}
