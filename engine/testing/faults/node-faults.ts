/** Faults of Redis nodes. */
import type { Fault, FaultContext } from './fault.ts';
import { dataOf, sentinelOf } from './stack.ts';

const ONE_NODE = 'replicated';

async function primaryNode({ stack, note }: FaultContext) {
  const node = await stack.group.primary();
  note(`the primary is node ${node.index}`);
  return node;
}

export const NODE_FAULTS: readonly Fault[] = [
  {
    name: 'primary_killed',
    group: 'node',
    what: 'SIGKILL to the primary (in half of the runs to the Sentinel beside it too); it comes back through the start wrapper',
    survives: ONE_NODE,
    async inject(context) {
      const node = await primaryNode(context);
      context.strike();
      await node.kill('SIGKILL', context.random() < 0.5 ? 'data' : 'both');
      await context.failedOver(node.index);
      await context.sell(20);
      await node.restart();
    },
  },
  {
    name: 'primary_hung',
    group: 'node',
    what: 'SIGSTOP to the primary; it is woken when another one sells, with all that its sockets hold',
    survives: ONE_NODE,
    async inject(context) {
      const node = await primaryNode(context);
      context.strike();
      node.pause('data');
      await context.failedOver(node.index);
      await context.sell(20);
      node.resume('data');
    },
  },
  {
    name: 'flushall',
    group: 'node',
    what: 'FLUSHALL on the primary: its replicas are emptied too',
    survives: 'logged',
    because: 'all Redis memory is gone, on every node',
    async inject(context) {
      await primaryNode(context);
      context.strike();
      await (await context.stack.primary()).flushall();
      await context.sell(20);
    },
  },
  {
    name: 'fast_restart_truncated_aof',
    group: 'node',
    what: 'the primary dies, loses the tail of its append-only file, and is started at once as primary, around the start wrapper',
    survives: 'logged',
    because:
      'its replicas resynchronise down to it: what the careless start costs without the wrapper',
    async inject(context) {
      const node = await primaryNode(context);
      const older = await node.copyAof();
      await context.sell(40);
      context.strike();
      await node.kill('SIGKILL', 'data');
      await node.restoreAof(older);
      await node.restartUnguarded();
      await context.sell(20);
    },
  },
  {
    name: 'a_to_b_to_a',
    group: 'node',
    what: 'A dies, B is promoted; A comes back as its replica, B dies, A is promoted again',
    survives: ONE_NODE,
    async inject(context) {
      const { stack } = context;
      const a = await primaryNode(context);
      await a.kill('SIGKILL', 'data');
      const b = stack.group.nodes[await context.failedOver(a.index)];
      if (b === undefined) throw new Error('there is no such node');
      await a.restart();
      // A goes before any other replica.
      for (const node of stack.group.nodes) {
        const priority = node.index === a.index ? 10 : 100;
        await stack.connect(node.index).config('SET', 'replica-priority', priority);
      }
      await stack.group.settled();
      await context.sell(20);
      context.strike();
      await b.kill('SIGKILL', 'data');
      await context.failedOver(b.index);
      await context.sell(20);
      await b.restart();
      for (const node of stack.group.nodes) {
        await stack.connect(node.index).config('SET', 'replica-priority', 100);
      }
    },
  },
  {
    name: 'double_failover',
    group: 'node',
    what: 'A dies, B is promoted, and dies within the same 5 s, with relay and recovery at work',
    survives: 'logged',
    because: 'two nodes are lost: B may be the only replica that had what A acknowledged',
    async inject(context) {
      const { stack } = context;
      const a = await primaryNode(context);
      await a.kill('SIGKILL', 'data');
      const b = stack.group.nodes[await context.failedOver(a.index)];
      if (b === undefined) throw new Error('there is no such node');
      // Somewhere in the recovery, or just behind it.
      await context.sleep(context.random() * 1_500);
      await b.kill('SIGKILL', 'data');
      await context.failedOver(b.index);
      await Promise.all([a.restart(), b.restart()]);
      await context.sell(20);
    },
  },
  {
    name: 'stale_replica_promoted',
    group: 'node',
    what: 'replica C is cut off from the primary for 2 s of sale, then primary A dies and replica B hangs: C is promoted',
    survives: 'logged',
    because: 'two of three nodes are lost, and the one that is left knows the least',
    async inject(context) {
      const { stack } = context;
      const a = await primaryNode(context);
      const [b, c] = stack.group.nodes.filter(({ index }) => index !== a.index);
      if (b === undefined || c === undefined) throw new Error('the group has no two replicas');
      stack.network.cut([dataOf(c.index)], [dataOf(a.index)]);
      await context.sell(100);
      await context.sleep(1_000);
      b.pause('data');
      context.strike();
      await a.kill('SIGKILL', 'data');
      const promoted = await context.failedOver(a.index);
      context.note(`node ${c.index} was cut off, node ${promoted} is promoted`);
      stack.network.heal();
      b.resume('data');
      await a.restart();
      await context.sell(20);
    },
  },
  {
    name: 'sentinel_minority',
    group: 'node',
    what: 'the Sentinels are cut off from one another and the primary dies: nobody may promote; then the Sentinels find each other',
    survives: 'replicated',
    async inject(context) {
      const { stack } = context;
      const node = await primaryNode(context);
      const all = stack.group.nodes.map(({ index }) => sentinelOf(index));
      for (const one of all)
        stack.network.cut(
          [one],
          all.filter((other) => other !== one),
        );
      context.strike();
      await node.kill('SIGKILL', 'data');
      await context.sleep(3_000);
      const still = await stack.group.primary();
      if (still.index !== node.index) throw new Error('a minority of the Sentinels has promoted');
      stack.network.heal();
      await context.failedOver(node.index);
      await context.sell(20);
      await node.restart();
    },
  },
];
