/** Runs real recoveries for tests, and says whether a lane is as it must be afterwards. */
import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import type { FencedLog } from '../../engine/log/event-log.ts';
import { isSameEntry } from '../../engine/log/place.ts';
import { noCrashPoint } from '../../engine/runtime/crash-point.ts';
import { RECOVERY_LIMITS, type RecoveryDeps } from '../claim.ts';
import { needsRecovery } from '../detect.ts';
import { type RecoveryReport, recover } from '../recover.ts';
import { Registry } from '../registry.ts';
import { dumpPostgres, dumpRedis } from './dump.ts';
import { connectLane, LANE, type LaneStack, trade } from './stack.ts';

/** The log of a test: Kafka, or the stream itself. */
export interface TestLog {
  readonly fencedLog: FencedLog;
  /** Brings all that stands in Redis to PostgreSQL, as relay and persister do in time. */
  bringToPostgres(): Promise<void>;
  /** For processes of their own. */
  readonly kafka?: { readonly brokers: readonly string[]; readonly topic: string };
  end(): Promise<void>;
}

/** A busy machine is slow to fence a log that can be reached. */
const TEST_LIMITS = { ...RECOVERY_LIMITS, fenceMs: 60_000 };

export function recoveryDeps(
  stack: LaneStack,
  log: TestLog,
  more: Partial<RecoveryDeps> = {},
): RecoveryDeps {
  return {
    lane: LANE,
    state: stack.state,
    log: log.fencedLog,
    pool: stack.database.pool,
    registry: new Registry(stack.database.pool),
    random: randomBytes,
    crashPoint: noCrashPoint,
    limits: TEST_LIMITS,
    quorum: () => 0,
    onProgress: () => undefined,
    leader: 'test',
    ...more,
  };
}

/** Opens the lane, sells from it, and brings that to PostgreSQL: where most tests begin. */
export async function beginSold(stack: LaneStack, log: TestLog): Promise<void> {
  await recoverOnce(recoveryDeps(stack, log));
  await trade(connectLane(stack.redis), 'first', 16);
  await log.bringToPostgres();
}

/** Looks, and recovers as the look says; throws when nothing is wrong. */
export async function recoverOnce(
  deps: RecoveryDeps,
  signal = new AbortController().signal,
): Promise<RecoveryReport> {
  const row = await deps.registry.read(deps.lane);
  const tail = await deps.state.tail({ epoch: Number.MAX_SAFE_INTEGER, seq: 0 }, 1);
  const cause = needsRecovery(tail, row);
  if (cause === undefined) throw new Error(`the lane needs no recovery: ${row.state}`);
  return recover(deps, row, { cause, detectedMs: performance.now() }, signal);
}

/** What a step found, of the recovery's timeline. */
export function detailOf(report: RecoveryReport, step: string): unknown {
  return report.steps.find((each) => each.step === step)?.detail;
}

/**
 * The lane is open under the registry's term; after everything has reached PostgreSQL, Redis is what
 * PostgreSQL says; and it sells on.
 */
export async function expectOpen(stack: LaneStack, log: TestLog): Promise<void> {
  const registry = new Registry(stack.database.pool);
  const row = await registry.read(LANE);
  const tail = await stack.state.tail({ epoch: 0, seq: 0 }, 1);
  expect(needsRecovery(tail, row)).toBeUndefined();
  expect(tail.last).toMatchObject({ epoch: row.term });
  await trade(connectLane(stack.redis), `after-${row.term}`, 8);
  await log.bringToPostgres();
  await expectLevel(stack);
}

/** Position and every cell and record are the same on both sides. */
export async function expectLevel(stack: LaneStack): Promise<void> {
  const tail = await stack.state.tail({ epoch: Number.MAX_SAFE_INTEGER, seq: 0 }, 1);
  const { position } = await new Registry(stack.database.pool).read(LANE);
  expect(isSameEntry(tail.last, position)).toBe(true);
  expect(await dumpRedis(stack.redis)).toEqual(await dumpPostgres(stack.database.pool));
}
