/** Clocks that jump: of the node that is promoted, and of an engine. */
import { join } from 'node:path';
import { CLOCK_FILE, clockObstacle, setClock } from './clock.ts';
import type { Fault, FaultContext } from './fault.ts';

const JUMP_S = 5;
const ENGINE_JUMP_S = 3_600;

/** Redis and engines look at their clock's file once a second. */
const CLOCK_MS = 1_500;
const CLOCK_MS_MAX = 20_000;

function promotedClock(name: string, sign: 1 | -1, words: string): Fault {
  return {
    name,
    group: 'node',
    what: `the primary dies; the clock of the replica that is promoted is ${JUMP_S} s ${words}`,
    survives: 'replicated',
    stack: { hasClocks: true },
    obstacle: clockObstacle,
    async inject(context) {
      const { stack } = context;
      const node = await stack.group.primary();
      const others = stack.group.nodes.filter(({ index }) => index !== node.index);
      for (const { dir } of others) setClock(join(dir, CLOCK_FILE), sign * JUMP_S);
      for (const { index } of others) await clockIsOff(context, index, sign * JUMP_S);
      context.strike();
      await node.kill('SIGKILL', 'data');
      await context.failedOver(node.index);
      await context.sell(20);
      await node.restart();
      // The next run begins with clocks that agree; this is one more jump, under the open lane.
      for (const { dir } of others) setClock(join(dir, CLOCK_FILE), 0);
      await context.sleep(CLOCK_MS);
    },
  };
}

/** It reads its clock's file once a second. */
async function clockIsOff(context: FaultContext, node: number, offS: number): Promise<void> {
  const deadlineMs = performance.now() + CLOCK_MS_MAX;
  for (;;) {
    const [seconds] = await context.stack.connect(node).time();
    const isOffS = Number(seconds) - Math.floor(Date.now() / 1_000);
    if (Math.abs(isOffS - offS) <= 1) return context.note(`clock of node ${node}: ${isOffS} s off`);
    if (performance.now() > deadlineMs) throw new Error(`the clock of node ${node} did not jump`);
    await context.sleep(100);
  }
}

function engineClock(name: string, sign: 1 | -1, words: string): Fault {
  return {
    name,
    group: 'process',
    what: `the clock of an engine jumps ${ENGINE_JUMP_S} s ${words}, and back`,
    survives: 'memory',
    keepsSelling: true,
    stack: { hasClocks: true },
    obstacle: clockObstacle,
    async inject(context) {
      setClock(context.stack.engineClock('old'), sign * ENGINE_JUMP_S);
      await context.sleep(2 * CLOCK_MS);
      setClock(context.stack.engineClock('old'), 0);
      await context.sleep(CLOCK_MS);
    },
  };
}

export const CLOCK_FAULTS: readonly Fault[] = [
  promotedClock('promoted_clock_ahead', 1, 'ahead'),
  promotedClock('promoted_clock_behind', -1, 'behind'),
  engineClock('engine_clock_ahead', 1, 'ahead'),
  engineClock('engine_clock_behind', -1, 'behind'),
];
