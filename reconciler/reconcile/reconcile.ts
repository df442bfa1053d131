/**
 * `holdfast reconcile`, one run: compare under traffic, name each difference by its cause, plan, and
 * repair when told to. The stores are never stopped, and what is held in memory does not grow with
 * them: pieces of about a thousand, the names of what differs (SUSPECTS_MAX), a filter of 32 MiB.
 */
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { type Place, showPlace } from '../../engine/log/place.ts';
import type { Pool } from '../../engine/postgres/pool.ts';
import { readPosition } from '../../engine/postgres/position.ts';
import { createDemands } from '../../engine/redis/demands.ts';
import { laneScripts } from '../../engine/redis/lane-scripts.ts';
import { type CrashPoint, noCrashPoint } from '../../engine/runtime/crash-point.ts';
import { type Applied, applyRepairs } from './apply.ts';
import { compareCells } from './cell-pass.ts';
import { diagnose } from './diagnose.ts';
import { DueFilter } from './due-filter.ts';
import { readDeadlines } from './due-pass.ts';
import type { Finding } from './finding.ts';
import { judgeable } from './judgeable.ts';
import { requireKnown } from './known-skus.ts';
import { LaneLook } from './lane-look.ts';
import { compareLedger } from './ledger-pass.ts';
import { type LogState, lookAtLog, type OutsideLog } from './log-look.ts';
import { compareRecords } from './record-pass.ts';
import { REPORTED_MAX, type ReconcileReport, toReported } from './report.ts';
import { type Run, type Scope, Suspects } from './run-context.ts';
import { Stored, StoredBehind } from './stored.ts';

export interface ReconcileDeps {
  readonly redis: Redis;
  /** Three connections: a snapshot of names, one of what they hold, a repair. */
  readonly pool: Pool;
  readonly lane?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  readonly crash?: CrashPoint;
  /** How long PostgreSQL may stand still behind Redis before the run gives up. */
  readonly standStillMs?: number;
  /** Undefined: the log is the stream in Redis. */
  readonly log?: OutsideLog | undefined;
}

export interface ReconcileOptions {
  /** False: the plan alone. */
  readonly apply: boolean;
  readonly skus?: readonly string[];
  /** Only what changed since: milliseconds since 1970, in lane time. */
  readonly sinceMs?: number;
}

export interface Progress {
  readonly phase: string;
  readonly compared: number;
  readonly differences: number;
}

const STAND_STILL_MS = 30_000;
/** A repair may lay bare what stood behind it: the mark of a cell, the sum of its lines. */
const PASSES_MAX = 4;
const MS_PER_S = 1_000;

/** Rejects with LaneClosed or StoredBehind when the stores cannot be compared; with UnknownSkus. */
export async function reconcile(
  deps: ReconcileDeps,
  options: ReconcileOptions,
): Promise<ReconcileReport> {
  const { offset } = await readPosition(deps.pool, deps.lane ?? 0);
  const log = await lookAtLog(deps.log, offset);
  try {
    return await reconcileBeside(log, deps, options);
  } catch (error) {
    if (!(error instanceof StoredBehind) || !('problem' in log)) throw error;
    // Why PostgreSQL stands still.
    throw new StoredBehind(`${error.message} ${log.problem}`);
  }
}

async function reconcileBeside(
  log: LogState,
  deps: ReconcileDeps,
  options: ReconcileOptions,
): Promise<ReconcileReport> {
  const startedAt = new Date();
  const began = performance.now();
  const run = await begin(deps, options);
  const first = await run.look.look({});
  await run.stored.reach(first.stamp);
  await requireKnown(run);
  const from = run.stored.position;
  await compareAll(run, Math.floor(first.stamp.timeMs / MS_PER_S));
  const findings = await diagnose(run, await judgeable(run));
  const all = [...findings, ...run.suspects.found];
  const outcome = options.apply
    ? await repair(run, all, deps)
    : {
        applied: all.map((finding) => ({ finding, status: 'undecided' }) as const),
        left: all.length,
      };
  const overflow = run.suspects.overflow;
  return {
    ...reportOf(run, options, outcome.applied, outcome.left + overflow),
    log,
    unseen: unseenBy(options, log),
    started_at: startedAt.toISOString(),
    duration_ms: Math.round(performance.now() - began),
    from: showPlace(from),
    to: showPlace(run.stored.position),
  };
}

/** What a run did not look at: a zero says of what it is zero. */
function unseenBy({ sinceMs }: ReconcileOptions, log: LogState): string[] {
  return [
    ...(log.state === 'not_seen' ? [`the log: ${log.problem}`] : []),
    ...(sinceMs === undefined
      ? []
      : [
          'what was edited in Redis alone, and what was deleted in PostgreSQL: --since begins with the rows that PostgreSQL changed and still has',
        ]),
  ];
}

async function begin(deps: ReconcileDeps, options: ReconcileOptions): Promise<Run> {
  const { pool, lane = 0, signal = new AbortController().signal } = deps;
  const standStillMs = deps.standStillMs ?? STAND_STILL_MS;
  const counts = { cells: 0, records: 0, holds: 0, dueEntries: 0, ledgerCells: 0, unsettled: 0 };
  const suspects = new Suspects();
  const since =
    options.sinceMs === undefined ? undefined : await placeAt(pool, lane, options.sinceMs);
  const scope: Scope = {
    ...(options.skus !== undefined && { skus: new Set(options.skus) }),
    ...(since !== undefined && { since }),
  };
  return {
    look: new LaneLook(deps.redis, lane),
    state: laneScripts(deps.redis, lane),
    stored: new Stored({
      ...{ pool, lane, standStillMs, signal },
      demand: createDemands(deps.redis, lane),
    }),
    scope,
    counts,
    suspects,
    signal,
    id: `rc-${randomBytes(6).toString('hex')}`,
    progress: (phase) =>
      deps.onProgress?.({
        phase,
        compared: counts.cells + counts.records,
        differences: suspects.cells.size + suspects.records.size + suspects.found.length,
      }),
  };
}

/** The last place of the log before the time. */
async function placeAt(pool: Pool, lane: number, timeMs: number): Promise<Place> {
  const { rows } = await pool.query<Place>(
    `SELECT epoch, seq FROM entries WHERE lane = $1 AND time_ms < $2
     ORDER BY epoch DESC, seq DESC LIMIT 1`,
    [lane, timeMs],
  );
  return rows[0] ?? { epoch: 0, seq: 0 };
}

async function compareAll(run: Run, nowS: number): Promise<void> {
  const filter = new DueFilter(randomBytes(4).readUInt32BE());
  await readDeadlines(run, filter);
  await compareCells(run);
  await compareRecords(run, { filter, readAtS: nowS });
  await compareLedger(run);
}

interface Outcome {
  readonly applied: readonly Applied[];
  readonly left: number;
}

async function repair(
  run: Run,
  findings: readonly Finding[],
  { pool, crash = noCrashPoint }: ReconcileDeps,
): Promise<Outcome> {
  let applied = await applyRepairs(run, findings, { pool, crash });
  for (let pass = 1; pass < PASSES_MAX; pass += 1) {
    const standing = await diagnose(run, subjectsOf(applied));
    // What is still as it was is told once, as it was found first.
    const news = standing.filter((finding) => finding.repair !== undefined);
    applied = withoutResolved(applied, standing);
    if (news.length === 0) break;
    const tried = new Set(news.map(nameOf));
    applied = [
      ...applied.filter(
        ({ finding, status }) => status !== 'contended' || !tried.has(nameOf(finding)),
      ),
      ...(await applyRepairs(run, news, { pool, crash })),
    ];
  }
  const left = applied.filter(({ status }) => status === 'undecided' || status === 'contended');
  return { applied, left: left.length };
}

const nameOf = ({ where, cause }: Finding): string => `${where} ${cause}`;

function subjectsOf(applied: readonly Applied[]) {
  const subjects = applied.map(({ finding }) => finding.subject);
  return {
    products: [...new Set(subjects.flatMap((each) => (each.kind === 'product' ? [each.sku] : [])))],
    cells: unique(subjects.flatMap((each) => (each.kind === 'cell' ? [each.name] : []))),
    records: unique(subjects.flatMap((each) => (each.kind === 'record' ? [each.place] : []))),
  };
}

function unique<T>(items: readonly T[]): T[] {
  return [...new Map(items.map((item) => [JSON.stringify(item), item])).values()];
}

/** What was undecided and now agrees went with the repair of something else. */
function withoutResolved(applied: readonly Applied[], standing: readonly Finding[]): Applied[] {
  const places = new Set(standing.map(({ where }) => where));
  return applied.map(({ finding, status }) => {
    // Keys are not judged again, so nothing says that theirs is gone.
    const isJudged = status === 'undecided' && finding.subject.kind !== 'key';
    const isResolved = isJudged && !places.has(finding.where);
    return { finding, status: isResolved ? 'gone' : status };
  });
}

function reportOf(
  run: Run,
  options: ReconcileOptions,
  applied: readonly Applied[],
  left: number,
): Omit<ReconcileReport, 'started_at' | 'duration_ms' | 'from' | 'to' | 'log' | 'unseen'> {
  const { counts, scope, suspects } = run;
  const byCause: Record<string, number> = {};
  for (const { finding } of applied) {
    byCause[finding.cause] = (byCause[finding.cause] ?? 0) + 1;
  }
  return {
    run: run.id,
    lane: run.stored.lane,
    applied: options.apply,
    scope: {
      skus: scope.skus === undefined ? null : [...scope.skus],
      since: scope.since === undefined ? null : showPlace(scope.since),
    },
    compared: {
      cells: counts.cells,
      records: counts.records,
      holds: counts.holds,
      due_entries: counts.dueEntries,
      ledger_cells: counts.ledgerCells,
      unsettled: counts.unsettled,
    },
    differences: applied.slice(0, REPORTED_MAX).map((each) => toReported(each, !options.apply)),
    difference_count: applied.length + suspects.overflow,
    by_cause: byCause,
    repaired: applied.filter(({ status }) => status === 'repaired').length,
    gone: applied.filter(({ status }) => status === 'gone').length,
    left,
  };
}
