/**
 * One run of one fault: a sale on both sides, the fault in its middle, both sides selling again, the
 * sale's end, and the verdict over what the clients heard and what the stores then say.
 */
import { randomFrom } from '../../../bench/load/random.ts';
import { groupAttempts } from './asked.ts';
import { audited } from './audited.ts';
import { type Judged, judge } from './checker.ts';
import { createFaultClient, type FaultClient } from './client.ts';
import type { Fault, FaultContext } from './fault.ts';
import { History } from './history.ts';
import { longestStop } from './measure.ts';
import { readFinalState } from './read-state.ts';
import type { RunRecord } from './record.ts';
import { type RecoveryTimes, readRecoveries } from './recoveries.ts';
import { type Sale, startSale } from './shoppers.ts';
import { type FaultStack, SIDES, type Side } from './stack.ts';
import { stockUp } from './stock-up.ts';
import type { FaultViolation, Verdict } from './verdict.ts';

export interface RunOptions {
  readonly fault: Fault;
  readonly stack: FaultStack;
  /** Which run over this stack it is: names its SKUs. */
  readonly run: number;
  readonly seed: string;
  readonly holdMs: number;
  readonly shoppersPerSide: number;
}

export interface RunResult {
  readonly record: RunRecord;
  readonly history: History;
}

/** Commits of each side before the fault, and after it. */
const WARM_COMMITS = 25;
const AFTER_RESERVES = 25;
/** Beyond this something is stuck: a violation, not a slow machine. */
const STUCK_MS = 120_000;
const GIVE_UP_MS = 30_000;
const CONVERGE_MS_MAX = 60_000;
/** Of a fault's own client: races need many at once. */
const FAULT_CONNECTIONS = 512;
const RESERVE_LEVELS = { memory: 0.35, replicated: 0.35, persisted: 0.05 };
/** Where the append-only file is flushed before each answer. */
const FSYNC_LEVELS = { ...RESERVE_LEVELS, fsync: 0.1 };
const COMMIT_LEVELS = { persisted: 0.05 };

export async function runFault(options: RunOptions): Promise<RunResult> {
  const run = await openRun(options);
  const { history } = run;
  const startedAt = new Date();
  const problems: FaultViolation[] = [];
  const sales: Sale[] = SIDES.map((side) => run.openSale(side));
  let injectedMs = performance.now();
  let healedMs = injectedMs;
  const { told } = run;
  try {
    await run.untilEach('commit', WARM_COMMITS, 0, 'before the fault');
    injectedMs = performance.now();
    told.struckMs = injectedMs;
    await options.fault.inject(run.context);
    healedMs = performance.now();
    await makeWhole(options.stack);
    await run.untilEach('reserve', AFTER_RESERVES, healedMs, 'after the fault');
  } catch (error) {
    problems.push(stuck(error));
    await makeWhole(options.stack).catch((again: unknown) => problems.push(stuck(again)));
  }
  await Promise.all(sales.map((sale) => sale.stop(GIVE_UP_MS)));
  run.close();
  const soldMs = performance.now();
  const verdict = await verdictOf(options, run, problems);
  const convergedMs = (verdict.inStepMs ?? performance.now()) - soldMs;
  const attempts = history.attempts();
  const [old, fresh] = SIDES.map((side) => longestStop(attempts, side, injectedMs));
  const stop = longestStop(attempts, 'new', told.struckMs);
  const recoveries = await recoveriesOf(options.stack, startedAt);
  return {
    history,
    record: {
      kind: 'run',
      fault: options.fault.name,
      log: options.stack.options.log,
      run: options.run,
      seed: options.seed,
      at: startedAt.toISOString(),
      survives: options.fault.survives,
      fault_ms: Math.round(healedMs - injectedMs),
      stopped_ms: fresh === undefined ? null : Math.round(fresh.ms),
      stopped_old_ms: old === undefined ? null : Math.round(old.ms),
      selling_again_ms:
        stop === undefined || options.fault.keepsSelling === true
          ? null
          : Math.round(stop.endedMs - told.struckMs),
      reopened_ms: reopenedMs(recoveries, told.promotedAtMs),
      kills: told.kills,
      recoveries,
      converged_ms: Math.round(convergedMs),
      attempts: verdict.attempts,
      outcomes: verdict.outcomes,
      levels: verdict.levels,
      oversold: verdict.oversold,
      violations: verdict.violations,
      notes: told.notes,
    },
  };
}

/** The lane may have been opened before the harness, which polls, saw the promotion. */
const SEEN_LATE_MS = 500;

function reopenedMs(
  recoveries: readonly RecoveryTimes[],
  promotedAtMs: number | undefined,
): number | null {
  if (promotedAtMs === undefined) return null;
  const opened = recoveries.flatMap(({ outcome, ended_ms }) =>
    outcome === 'opened' && ended_ms && ended_ms > promotedAtMs - SEEN_LATE_MS ? [ended_ms] : [],
  );
  return opened.length === 0 ? null : Math.round(Math.max(0, Math.min(...opened) - promotedAtMs));
}

function stuck(error: unknown): FaultViolation {
  const what = error instanceof Error ? error.message : String(error);
  return { invariant: 'I8', where: 'the run', what };
}

async function recoveriesOf({ pool }: FaultStack, since: Date): Promise<RecoveryTimes[]> {
  return readRecoveries(pool, since).catch(() => []);
}

/** What a fault tells of itself while it happens. */
interface Told {
  readonly notes: string[];
  readonly kills: Record<string, number>;
  /** On the clock of performance.now(). */
  struckMs: number;
  /** In ms since 1970, of the last promotion that was seen. */
  promotedAtMs: number | undefined;
}

interface OpenRun {
  readonly history: History;
  readonly context: FaultContext;
  readonly told: Told;
  readonly skus: readonly string[];
  close(): void;
  openSale(side: Side): Sale;
  untilEach(
    verb: 'reserve' | 'commit',
    count: number,
    sinceMs: number,
    when: string,
  ): Promise<void>;
}

async function openRun(options: RunOptions): Promise<OpenRun> {
  const { stack, seed, run } = options;
  const history = new History();
  const clients: FaultClient[] = [];
  const clientOf = (side: Side, connections: number): FaultClient => {
    const client = createFaultClient({ ...stack.engineAddress(side), history, connections });
    clients.push(client);
    return client;
  };
  const skus = { hot: `HOT-${run}`, ample: `AMPLE-${run}` };
  await stockUp(stack.engineAddress('new'), history, `${seed}-${run}`, skus);
  const told: Told = { notes: [], kills: {}, struckMs: 0, promotedAtMs: undefined };
  const beganMs = performance.now();
  const note = (what: string): void => {
    told.notes.push(`${((performance.now() - beganMs) / 1_000).toFixed(2)} s: ${what}`);
  };
  const until = async (when: string, isDone: () => boolean): Promise<void> => {
    const deadlineMs = performance.now() + STUCK_MS;
    while (!isDone()) {
      if (performance.now() > deadlineMs) throw new Error(`stuck: ${when}`);
      await sleep(20);
    }
  };
  const failedOverWithin = async (from: number, ms: number): Promise<number | undefined> => {
    const deadlineMs = performance.now() + ms;
    while (performance.now() < deadlineMs) {
      const { index } = await stack.group.primary();
      if (index !== from) {
        told.promotedAtMs = Date.now();
        note(`the Sentinels name node ${index}`);
        return index;
      }
      await sleep(20);
    }
    return undefined;
  };
  return {
    history,
    told,
    close() {
      for (const client of clients) client.close();
    },
    skus: Object.values(skus),
    context: {
      stack,
      run,
      skus,
      client: (side) => clientOf(side, FAULT_CONNECTIONS),
      intent: (name) => `${name}-${seed}-${run}`,
      random: randomFrom(`${seed}/${run}/fault`),
      holdMs: options.holdMs,
      sleep,
      note,
      strike() {
        told.struckMs = performance.now();
      },
      killed(what) {
        told.kills[what] = (told.kills[what] ?? 0) + 1;
      },
      async sell(reserves) {
        const sinceMs = performance.now();
        await until('the sale goes on', () => {
          const sold = SIDES.map((side) => history.countOk(side, 'reserve', sinceMs));
          return sold.reduce((sum, count) => sum + count, 0) >= reserves;
        });
      },
      async sellThrough(side, reserves) {
        const sinceMs = performance.now();
        await until(`the sale goes on through ${side}`, () => {
          return history.countOk(side, 'reserve', sinceMs) >= reserves;
        });
      },
      failedOverWithin,
      async failedOver(from) {
        const index = await failedOverWithin(from, STUCK_MS);
        if (index === undefined) throw new Error('stuck: the Sentinels do not fail over');
        return index;
      },
    },
    openSale(side) {
      return startSale({
        client: clientOf(side, options.shoppersPerSide + 1),
        name: side,
        prefix: `${run}-${side}`,
        seed: `${seed}/${run}`,
        shoppers: options.shoppersPerSide,
        skus,
        reserveLevels: stack.options.isFlushed === true ? FSYNC_LEVELS : RESERVE_LEVELS,
        commitLevels: COMMIT_LEVELS,
      });
    },
    untilEach: (verb, count, sinceMs, when) =>
      until(`not ${count} ${verb}s on each side ${when}`, () =>
        SIDES.every((side) => history.countOk(side, verb, sinceMs) >= count),
      ),
  };
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Whatever a fault left undone: nothing is cut, everything runs, the group is in sync. */
export async function makeWhole(stack: FaultStack): Promise<void> {
  stack.network.heal();
  for (const node of stack.group.nodes) {
    if (node.isRunning) node.resume('data');
    if (node.isSentinelRunning) node.resume('sentinel');
  }
  if (stack.postgres?.isRunning === false) await stack.postgres.start();
  if (stack.kafka?.isRunning === false) await stack.kafka.start();
  await Promise.all(stack.group.nodes.map((node) => node.restart()));
  for (const side of SIDES) {
    const { engine, workers } = stack.sides[side];
    engine.resume();
    workers.resume();
    if (!workers.isRunning) await stack.startWorkers(side);
    if (!engine.isRunning) await stack.startEngine(side);
  }
  await stack.group.settled();
}

async function verdictOf(
  { fault, stack }: RunOptions,
  run: OpenRun,
  problems: readonly FaultViolation[],
): Promise<Verdict & { readonly inStepMs: number | undefined }> {
  const attempts = run.history.attempts();
  let inStepMs: number | undefined;
  const ids = groupAttempts(attempts).flatMap(({ id }) => (id === undefined ? [] : [id]));
  const violations = [...problems];
  let verdict: Verdict = {
    violations,
    levels: [],
    oversold: 0,
    attempts: attempts.length,
    outcomes: {},
  };
  try {
    const redis = await stack.primary();
    const of = { skus: run.skus, ids };
    const state = await readFinalState(
      { redis, pool: stack.pool, log: stack.log },
      of,
      CONVERGE_MS_MAX,
    );
    inStepMs = state.readAtMs;
    const judged: Judged = { attempts, state, survives: fault.survives };
    verdict = judge(judged);
    violations.push(...verdict.violations, ...(await audited(stack)));
  } catch (error) {
    violations.push(stuck(error));
  }
  return { ...verdict, violations, inStepMs };
}
