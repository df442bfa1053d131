/**
 * `holdfast audit`: Redis, the log and PostgreSQL at one position.
 *
 * How it can be one position while the lane goes on: the audit takes a snapshot of PostgreSQL, which
 * stands at a position P and does not move. It reads Redis in pieces, each true at some position at
 * or behind P, and applies the entries between P and there to what the snapshot says: that is what
 * the piece must be. So every comparison is exact, whatever is sold meanwhile, and on a quiet lane
 * there is nothing to apply. When the log between the two was trimmed meanwhile, it begins again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { LogSource } from '../../engine/log/event-log.ts';
import type { Pool } from '../../engine/postgres/pool.ts';
import { laneKeys } from '../../engine/redis/keys.ts';
import { UnreadableBytes } from '../../engine/testing/auditor/cursor.ts';
import { auditCells } from './cell-pass.ts';
import { Findings } from './difference.ts';
import { Digests } from './digests.ts';
import { LaneReader, WrongType } from './lane-reader.ts';
import { LaneView } from './lane-view.ts';
import { auditLedger } from './ledger.ts';
import type { LogPass } from './log-pass.ts';
import { auditLog } from './log-pass.ts';
import { loggedEntries, streamEntries } from './log-source.ts';
import type { Place } from './place.ts';
import { isSamePlace, reaches, showPlace } from './place.ts';
import type { RecordCounts } from './record-pass.ts';
import { auditRecords } from './record-pass.ts';
import type { AuditReport } from './report.ts';
import { auditRows } from './row-checks.ts';
import { readStoredPosition, Snapshot } from './snapshot.ts';
import { LogTail, TailGap } from './tail.ts';

export interface AuditDeps {
  /** A connection of the audit's own: it runs transactions on it. */
  readonly redis: Redis;
  /** Two of its connections are used at once. */
  readonly pool: Pool;
  /** Kafka's log, where Kafka is the log; else the stream in Redis is. */
  readonly log?: LogSource;
  readonly lane?: number;
  readonly limits?: Partial<AuditLimits>;
}

export interface AuditLimits {
  /**
   * How long PostgreSQL may take to come to where Redis stands (I8 promises 10 s), and a closed lane
   * to be opened.
   */
  readonly catchUpMs: number;
  readonly differencesMax: number;
  /** Changes of the lane during the audit that it will hold in memory. */
  readonly tailChangesMax: number;
  /** Reservations of the log that it will hold in memory: about 500 bytes each. */
  readonly foldedReservationsMax: number;
  /** How often it begins again when the log is trimmed under it. */
  readonly roundsMax: number;
}

export const AUDIT_LIMITS: AuditLimits = {
  catchUpMs: 10_000,
  differencesMax: 1000,
  tailChangesMax: 1_000_000,
  foldedReservationsMax: 1_000_000,
  roundsMax: 5,
};

const POLL_MS = 20;

interface Round {
  readonly deps: AuditDeps;
  readonly lane: number;
  readonly limits: AuditLimits;
  readonly reader: LaneReader;
  readonly startedMs: number;
  /** A log that does not go on is then a difference, no reason to begin again. */
  readonly isLast: boolean;
}

/** Rejects only when a store fails, or more was written meanwhile than the limits allow. */
export async function runAudit(deps: AuditDeps): Promise<AuditReport> {
  const lane = deps.lane ?? 0;
  const limits = { ...AUDIT_LIMITS, ...deps.limits };
  const reader = new LaneReader(deps.redis, laneKeys(lane));
  const round: Round = { deps, lane, limits, reader, startedMs: performance.now(), isLast: false };
  for (let n = 1; ; n += 1) {
    try {
      return await auditOnce({ ...round, isLast: n >= limits.roundsMax });
    } catch (error) {
      if (!(error instanceof TailGap)) throw error;
    }
  }
}

async function auditOnce(round: Round): Promise<AuditReport> {
  const findings = new Findings(round.limits.differencesMax);
  await waitForLane(round);
  await waitForPostgres(round, findings);
  const snapshot = await Snapshot.open(round.deps.pool, round.lane);
  try {
    const ofPostgres = new Findings(round.limits.differencesMax);
    const checking = auditPostgres(await snapshot.beside(), round.lane, ofPostgres);
    // Until it is waited for; who breaks off before that has a reason of his own.
    checking.catch(() => undefined);
    const pass: Pass = { round, snapshot, findings, stored: new Digests() };
    const redis = await auditRedis(pass);
    const log = await foldLog(pass);
    const { ledger, rows } = await checking;
    findings.append(ofPostgres);
    const { epoch, seq } = snapshot.position;
    return {
      ok: findings.count === 0,
      lane: round.lane,
      position: { epoch, seq },
      redis_position: redis.position,
      lane_state: redis.state,
      log: {
        source: round.deps.log === undefined ? 'stream' : 'kafka',
        from: log.from === null ? null : { epoch: log.from.epoch, seq: log.from.seq },
        complete: log.complete,
        lost_from_stream: log.lostFromStream,
      },
      compared: {
        cells: redis.cells,
        ...redis.records,
        ledger_cells: ledger.cells,
        movements: rows.movements,
        stored_reservations: rows.reservations,
        stored_operations: rows.operations,
        entries: rows.entries,
        log_entries: log.entries,
        log_changes: log.changes,
      },
      units: ledger.units,
      differences: findings.kept,
      difference_count: findings.count,
      duration_ms: Math.round(performance.now() - round.startedMs),
    };
  } finally {
    await snapshot.close();
  }
}

/**
 * A lane that recovery has closed is short of what recovery gives back before it opens it. One that
 * stays closed is judged as it is.
 */
async function waitForLane(round: Round): Promise<void> {
  const until = performance.now() + round.limits.catchUpMs;
  while (performance.now() < until) {
    const { meta } = await round.reader.position();
    if (meta.open || !meta.exists) return;
    await sleep(POLL_MS);
  }
}

/** PostgreSQL shall be at or behind the place where Redis stands now, within a bound. */
async function waitForPostgres(round: Round, findings: Findings): Promise<void> {
  const { meta } = await round.reader.position();
  const until = performance.now() + round.limits.catchUpMs;
  for (;;) {
    const stored = await readStoredPosition(round.deps.pool, round.lane);
    if (reaches(stored, meta)) return;
    if (performance.now() >= until) {
      const parked = stored.parked === undefined ? '' : `; it is parked: ${stored.parked}`;
      findings.add({
        invariant: 'I8',
        where: `lane ${round.lane}`,
        redis: `at ${showPlace(meta)}`,
        postgres: `at ${showPlace(stored)}`,
        explanation: `PostgreSQL did not come to where Redis stands within ${round.limits.catchUpMs} ms${parked}`,
      });
      return;
    }
    await sleep(POLL_MS);
  }
}

/** What PostgreSQL alone can say, while Redis and the log are read. */
async function auditPostgres(snapshot: Snapshot, lane: number, findings: Findings) {
  const ledger = await auditLedger(snapshot, lane, findings);
  const rows = await auditRows(snapshot, lane, findings);
  return { ledger, rows };
}

/** What the passes over Redis and over the log share. */
interface Pass {
  readonly round: Round;
  readonly snapshot: Snapshot;
  readonly findings: Findings;
  /** Of the reservations that the one reads from PostgreSQL, for the other. */
  readonly stored: Digests;
}

interface RedisResult {
  readonly cells: number;
  readonly records: RecordCounts;
  readonly position: Place;
  readonly state: AuditReport['lane_state'];
}

const NO_RECORDS: RecordCounts = { holds: 0, reservations: 0, operations: 0 };

async function auditRedis({ round, snapshot, findings, stored }: Pass): Promise<RedisResult> {
  const { reader, lane, limits } = round;
  const tail = new LogTail(snapshot.position, limits.tailChangesMax);
  const view = new LaneView({ reader, keys: laneKeys(lane), snapshot, tail, findings });
  const { meta, halfDone } = await reader.position();
  const state = !meta.exists ? 'empty' : meta.open ? 'open' : 'closed';
  let position: Place = { epoch: meta.epoch, seq: meta.seq };
  checkPositions(view, meta, halfDone);
  if (state === 'empty') return { cells: 0, records: NO_RECORDS, position, state };
  try {
    const cells = await auditCells(view);
    const records = await auditRecords(view, stored);
    const last = (await view.look()).meta;
    position = { epoch: last.epoch, seq: last.seq };
    return { cells, records, position, state };
  } catch (error) {
    const isUnreadable = error instanceof UnreadableBytes || error instanceof WrongType;
    if (!isUnreadable && !(error instanceof TailGap && round.isLast)) throw error;
    const reason =
      error instanceof WrongType ? '' : 'its log does not lead there from PostgreSQL: ';
    const explanation = `Redis cannot be compared, ${reason}${error.message}`;
    findings.add({
      invariant: isUnreadable ? 'entry' : 'chain',
      where: `lane ${lane}`,
      explanation,
    });
    return { cells: 0, records: NO_RECORDS, position, state };
  }
}

/** Redis must stand at or behind the snapshot, on the same history, with no script half done. */
function checkPositions(
  view: LaneView,
  meta: Place & { readonly nonce: string },
  halfDone: boolean,
): void {
  const { position } = view.snapshot;
  const said = { redis: `at ${showPlace(meta)}`, postgres: `at ${showPlace(position)}` };
  const where = 'position';
  if (!reaches(meta, position)) {
    const explanation = 'Redis stands before PostgreSQL: it lost the tail of its log';
    view.findings.add({ invariant: 'I4', where, ...said, explanation });
  } else if (isSamePlace(meta, position) && meta.nonce !== position.nonce) {
    const explanation = 'Redis and PostgreSQL stand at different entries of the same place: a fork';
    view.findings.add({ invariant: 'chain', where, ...said, explanation });
  }
  if (halfDone) {
    const explanation = 'an entry stands behind the position: a script died half way';
    view.findings.add({ invariant: 'I4', where, redis: said.redis, explanation });
  }
}

async function foldLog({ round, snapshot, findings, stored }: Pass): Promise<LogPass> {
  const { deps, limits, reader, lane } = round;
  const source =
    deps.log === undefined
      ? streamEntries(reader, laneKeys(lane))
      : loggedEntries(deps.log, snapshot.position);
  return auditLog(source, {
    ...{ snapshot, findings, stored },
    limits: {
      violationsMax: limits.differencesMax,
      reservationsMax: limits.foldedReservationsMax,
    },
  });
}
