/** Faults of the product's own processes. */
import { CRASH_POINTS, CRASH_VARIABLE } from '../../runtime/crash-point.ts';
import type { Fault, FaultContext } from './fault.ts';
import { dataOf, type Side, workersOf } from './stack.ts';

const KILLS = 10;
/** Long enough for its relay to have produced. */
const IN_FLIGHT_MS = 300;
const LEAD_MS_MAX = 8_000;
const DEATH_MS_MAX = 20_000;

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
        await context.stack.startEngine('old');
      }
    },
  },
  {
    name: 'killed_at_step',
    group: 'process',
    what: 'relay, persister or recovery of one side dies at one of its steps, each in its turn; for a step of recovery the primary dies too',
    survives: 'replicated',
    async inject(context) {
      const points = [...CRASH_POINTS.relay, ...CRASH_POINTS.persister, ...CRASH_POINTS.recovery];
      const reachable = points.filter((point) => isReached(point, context));
      const point = reachable[context.run % reachable.length] ?? 'persister.before_commit';
      await dieAt(context, point);
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
      await node.kill('SIGKILL', 'data');
      const leader = await leaderSince(context, since);
      if (leader === undefined) context.note('the recovery was over before its leader was seen');
      else {
        stack.sides[leader].workers.pause();
        context.note(`the leader, ${workersOf(leader)}, is stopped`);
      }
      await context.failedOver(node.index);
      await context.sell(20);
      await context.sleep(context.holdMs);
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

/** Whether this log passes it, and a failover does: nothing is wiped in one that leaves no fork. */
function isReached(point: string, { stack }: FaultContext): boolean {
  if (point.startsWith('relay.')) return stack.options.log === 'kafka';
  if (point === 'relay.after_trim' || point === 'persister.after_trim') return false;
  return !['recovery.in_wipe', 'recovery.after_wipe', 'recovery.in_relay'].includes(point);
}

async function dieAt(context: FaultContext, point: string): Promise<void> {
  const { stack, note } = context;
  await stack.sides.old.workers.kill('SIGKILL');
  note(`the old side's workers die at ${point}`);
  // One that dies as soon as it works is never ready.
  await stack.startWorkers('old', { [CRASH_VARIABLE]: point }).catch(() => undefined);
  const isRecovery = point.startsWith('recovery.');
  // The standby waits meanwhile, so that it is the one that is to die who does the work.
  if (isRecovery) stack.sides.new.workers.pause();
  const node = await stack.group.primary();
  if (isRecovery) await node.kill('SIGKILL', 'data');
  const deadlineMs = performance.now() + DEATH_MS_MAX;
  while (stack.sides.old.workers.isRunning && performance.now() < deadlineMs)
    await context.sleep(20);
  note(stack.sides.old.workers.isRunning ? 'they did not pass it' : 'they are dead');
  stack.sides.new.workers.resume();
  await stack.sides.old.workers.kill('SIGKILL');
  if (isRecovery) await context.failedOver(node.index);
  await context.sell(20);
  await stack.startWorkers('old');
  await node.restart();
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
