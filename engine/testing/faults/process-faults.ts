/** Faults of the product's own processes. */
import { CRASH_POINTS, CRASH_VARIABLE } from '../../runtime/crash-point.ts';
import { ChildError } from './child.ts';
import type { Fault, FaultContext } from './fault.ts';
import { dataOf, type FaultStackOptions, type Side, workersOf } from './stack.ts';

const KILLS = 10;
/** Long enough for its relay to have produced. */
const IN_FLIGHT_MS = 300;
const LEAD_MS_MAX = 8_000;
const DEATH_MS_MAX = 20_000;
/** Steps of relay and persister that a run kills at, besides one of recovery. */
const WORKER_STEPS = 3;
/** A leader sleeps for longer than a cut lasts: 30 s where a cut is 15. */
const PAUSE_FACTOR = 2;

export const PROCESS_FAULTS: readonly Fault[] = [
  {
    name: 'engine_killed',
    group: 'process',
    what: `SIGKILL to an engine in the middle of its batches, ${KILLS} times in a run, and started again`,
    survives: 'memory',
    keepsSelling: true,
    async inject(context) {
      for (let kill = 0; kill < KILLS; kill++) {
        await context.sellThrough('old', 5);
        await context.sleep(context.random() * 50);
        await context.stack.sides.old.engine.kill('SIGKILL');
        context.killed('engine');
        await context.stack.startEngine('old');
      }
    },
  },
  {
    name: 'killed_at_step',
    group: 'process',
    what: `relay or persister of one side dies at ${WORKER_STEPS} of its steps, then recovery at one of its own with the primary dead; each step in its turn`,
    survives: 'replicated',
    async inject(context) {
      const { stack } = context;
      const { log } = stack.options;
      const steps = workerSteps(log);
      // While one persister or relay is at work, another stands by and passes no step.
      await stack.sides.new.workers.kill('SIGTERM');
      for (let i = 0; i < WORKER_STEPS; i++) {
        const step = steps[(context.run * WORKER_STEPS + i) % steps.length];
        if (step === undefined) continue;
        if (!(await replaceByMortal(context, step))) await untilDead(context, step);
      }
      await stack.startWorkers('new');
      // Ten runs over each log come to all of them.
      const turn = context.run + (log === 'kafka' ? 1 : 0);
      const step = RECOVERY_STEPS[turn % RECOVERY_STEPS.length];
      if (step !== undefined) await recoveryDiesAt(context, step);
    },
  },
  {
    name: 'recovery_leader_paused',
    group: 'process',
    what: 'the process that recovers is stopped in the middle of it; a standby takes over and the lane sells; then it is woken',
    survives: 'replicated',
    async inject(context) {
      const { stack } = context;
      const node = await stack.group.primary();
      const since = new Date();
      context.strike();
      await node.kill('SIGKILL', 'data');
      const leader = await leaderSince(context, since);
      if (leader === undefined) context.note('the recovery was over before its leader was seen');
      else {
        stack.sides[leader].workers.pause();
        context.note(`the leader, ${workersOf(leader)}, is stopped`);
      }
      await context.failedOver(node.index);
      await context.sell(20);
      await context.sleep(context.holdMs * PAUSE_FACTOR);
      if (leader !== undefined) stack.sides[leader].workers.resume();
      await context.sell(20);
      await node.restart();
    },
  },
  {
    name: 'produce_in_flight',
    group: 'process',
    what: "one side's workers are cut off with records for Kafka under way; the primary dies, the other side recovers and fences; then the held records land behind the fence",
    survives: 'replicated',
    logs: ['kafka'],
    async inject(context) {
      const { stack } = context;
      const nodes = stack.group.nodes.map(({ index }) => dataOf(index));
      stack.network.cutOneWay([workersOf('old')], ['kafka']);
      await context.sleep(IN_FLIGHT_MS);
      stack.network.cut([workersOf('old')], ['kafka', 'postgres', ...nodes]);
      const node = await stack.group.primary();
      context.strike();
      await node.kill('SIGKILL', 'data');
      await context.failedOver(node.index);
      await context.sell(40);
      stack.network.heal();
      context.note('the held records go on their way');
      await context.sell(20);
      await node.restart();
    },
  },
];

/** Those that this log passes; trimming comes after minutes. */
function workerSteps(log: FaultStackOptions['log']): string[] {
  const relay = log === 'kafka' ? CRASH_POINTS.relay : [];
  return [...relay, ...CRASH_POINTS.persister].filter((point) => !point.endsWith('.after_trim'));
}

/** Those that a failover passes: nothing is wiped, and no tail relayed, in one that leaves no fork. */
const RECOVERY_STEPS: readonly string[] = CRASH_POINTS.recovery.filter(
  (point) => !['recovery.in_wipe', 'recovery.after_wipe', 'recovery.in_relay'].includes(point),
);

async function recoveryDiesAt(context: FaultContext, step: string): Promise<void> {
  const { stack } = context;
  const isDead = await replaceByMortal(context, step);
  // The standby waits meanwhile, so that it is the one that is to die who does the work.
  stack.sides.new.workers.pause();
  const node = await stack.group.primary();
  context.strike();
  await node.kill('SIGKILL', 'data');
  if (!isDead) await untilDead(context, step);
  stack.sides.new.workers.resume();
  await context.failedOver(node.index);
  await context.sell(20);
  await stack.startWorkers('old');
  await node.restart();
}

/** Starts the old side's workers as processes that die at the step; true when they are dead already. */
async function replaceByMortal(context: FaultContext, step: string): Promise<boolean> {
  const { stack } = context;
  await stack.sides.old.workers.kill('SIGKILL');
  try {
    await stack.startWorkers('old', { [CRASH_VARIABLE]: step });
    return false;
  } catch (error) {
    // One that dies as soon as it works is never ready.
    if (!(error instanceof ChildError) || error.endedBy !== 'SIGKILL') throw error;
    context.killed(step);
    return true;
  }
}

async function untilDead(
  { stack, sleep, killed, note }: FaultContext,
  step: string,
): Promise<void> {
  const { workers } = stack.sides.old;
  const deadlineMs = performance.now() + DEATH_MS_MAX;
  while (workers.isRunning && performance.now() < deadlineMs) await sleep(20);
  if (workers.isRunning) {
    note(`the old side's workers did not pass ${step}`);
    await workers.kill('SIGKILL');
    return;
  }
  note(`the old side's workers are dead at ${step}`);
  if (workers.endedBy === 'SIGKILL') killed(step);
}

/** Which side's workers lead the recovery that began since then; undefined when it is over already. */
async function leaderSince({ stack, sleep }: FaultContext, since: Date): Promise<Side | undefined> {
  const deadlineMs = performance.now() + LEAD_MS_MAX;
  while (performance.now() < deadlineMs) {
    const { rows } = await stack.pool.query<{ leader: string | null; over: boolean }>(
      `SELECT leader, ended_at IS NOT NULL AS over FROM recoveries
       WHERE started_at >= $1 ORDER BY started_at DESC LIMIT 1`,
      [since],
    );
    const [row] = rows;
    if (row?.over === true) return undefined;
    const pid = Number(row?.leader?.split(':').at(-1));
    if (stack.sides.old.workers.pid === pid) return 'old';
    if (stack.sides.new.workers.pid === pid) return 'new';
    await sleep(1);
  }
  return undefined;
}
