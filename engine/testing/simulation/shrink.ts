/**
 * A trace that breaks an invariant, made shorter: runs of steps are left out, long ones first, as
 * long as an invariant breaks in the same way. Steps are found again by what they say, so that the
 * rest of a trace still means what it meant; those that no longer do anything drop out.
 */
import { Checker } from './checks.ts';
import { heal } from './heal.ts';
import type { Rules } from './rules.ts';
import type { Traced } from './simulate.ts';
import { step } from './step.ts';
import type { World } from './world.ts';

export interface Replayed {
  readonly wrong: string | undefined;
  readonly afterHealing: boolean;
  /** The steps that did something. */
  readonly trace: readonly Traced[];
}

export async function replay(
  begin: () => World,
  trace: readonly Traced[],
  rules: Rules,
): Promise<Replayed> {
  const world = begin();
  const checker = new Checker();
  const used: Traced[] = [];
  for (const traced of trace) {
    const before = world.now;
    world.now = Math.max(before, traced.at);
    const doing = step(world, traced.action, rules);
    const result = typeof doing === 'string' ? doing : await doing;
    if (result !== 'done') continue;
    used.push(traced);
    checker.check(world, rules);
    if (world.wrong !== undefined) return { wrong: world.wrong, afterHealing: false, trace: used };
  }
  await heal(world, rules, checker);
  return { wrong: world.wrong, afterHealing: true, trace: used };
}

/** Violations that differ in numbers and names alone are of one kind. */
export function kindOf(wrong: string): string {
  return wrong.replace(/[cs]?\d+/g, '#').slice(0, 40);
}

const REPLAYS_MAX = 4_000;

export async function shrink(
  begin: () => World,
  trace: readonly Traced[],
  wrong: string,
  rules: Rules,
): Promise<Replayed> {
  let best: Replayed = { wrong, afterHealing: false, trace };
  let replays = 0;
  for (let size = trace.length >> 1; size >= 1; ) {
    let isShorter = false;
    for (let i = 0; i < best.trace.length && replays < REPLAYS_MAX; ) {
      const rest = [...best.trace.slice(0, i), ...best.trace.slice(i + size)];
      replays++;
      const got = await replay(begin, rest, rules);
      if (got.wrong !== undefined && kindOf(got.wrong) === kindOf(wrong)) {
        best = got;
        isShorter = true;
      } else {
        i += size;
      }
    }
    if (!isShorter || size > 1) size = size === 1 ? 0 : Math.max(1, size >> 1);
    if (replays >= REPLAYS_MAX) break;
  }
  return best;
}

export function showTrace(trace: readonly Traced[]): string {
  return trace
    .map(({ at, action }, i) => {
      const { do: what, ...rest } = action;
      const details = Object.entries(rest).map(([name, value]) =>
        name === 'key' ? String(value) : `${name} ${JSON.stringify(value)}`,
      );
      const time = Math.round(at).toString().padStart(6);
      return `  ${(i + 1).toString().padStart(3)}. ${time} ms  ${what} ${details.join(', ')}`;
    })
    .join('\n');
}
