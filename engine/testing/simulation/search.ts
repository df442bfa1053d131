/**
 * Exhaustive search, breadth first: from each world every step that is possible, in any order, until
 * nothing new comes or the bound is reached. Calls and transactions take no time here; produces are
 * in flight, and every process may be late for ever.
 */
import { Checker } from './checks.ts';
import { heal } from './heal.ts';
import { Identities } from './identity.ts';
import { initialWorld } from './initial.ts';
import type { Rules } from './rules.ts';
import type { Traced } from './simulate.ts';
import { type Action, step } from './step.ts';
import { at, type ClientPlan, type Config, cloneWorld, type Form, type World } from './world.ts';

export interface Bounds {
  readonly form: Form;
  readonly nodes: number;
  readonly engines: number;
  readonly plans: readonly ClientPlan[];
  readonly units: number;
  /** Promotions. */
  readonly faults: number;
  /** Processes that die, and scripts that die half way. */
  readonly crashes: number;
  readonly half: boolean;
  readonly trim: boolean;
  readonly terms: number;
  /** False: PostgreSQL has what lands in the log at once. */
  readonly lag: boolean;
  /** Lane time may pass once, so that holds expire. */
  readonly expire: boolean;
  readonly statesMax: number;
  /** Heals every so many-th world, to see that it comes to rest; 0: none. */
  readonly healEvery: number;
}

export interface Found {
  readonly wrong: string | undefined;
  readonly trace: readonly Traced[];
  readonly afterHealing: boolean;
  readonly states: number;
  readonly depth: number;
  /** Every reachable world was seen. */
  readonly complete: boolean;
}

/** Two clients want the last unit: what the search is about in its smallest form. */
export function rivals(count: number, changes: Partial<ClientPlan> = {}): ClientPlan[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `c${i}`,
    lines: [{ cell: 0, units: 1 }],
    ttlMs: 1_000,
    goal: 'commit',
    levels: {},
    asks: false,
    engine: 0,
    startAt: 0,
    thinkMs: 0,
    triesMax: 3,
    ...changes,
  }));
}

/** What can be searched to the end, or nearly: one promotion, one client. */
export const SMALLEST_BOUNDS = {
  nodes: 2,
  engines: 1,
  plans: rivals(1, { triesMax: 2 }),
  units: 1,
  faults: 1,
  crashes: 0,
  half: false,
  trim: false,
  terms: 3,
  lag: false,
  expire: false,
  healEvery: 10,
} as const satisfies Partial<Bounds>;

export function searchWorld(bounds: Bounds): World {
  const config: Config = {
    form: bounds.form,
    nodes: bounds.nodes,
    engines: bounds.engines,
    relays: 1,
    persisters: 1,
    recoveries: 1,
    units: [bounds.units],
    batchMax: 4,
    replicatedSurvives: false,
    waits: false,
    retryMs: 0,
    waitMsMax: 1_000_000,
    polite: false,
    trimMarginMs: 0,
  };
  return initialWorld(config, bounds.plans);
}

interface Reached {
  readonly world: World;
  readonly from: Reached | undefined;
  readonly action: Action | undefined;
  readonly depth: number;
}

export async function search(bounds: Bounds, rules: Rules): Promise<Found> {
  const identities = new Identities();
  const checker = new Checker();
  const first = searchWorld(bounds);
  const seen = new Set([identities.of(first)]);
  const queue: Reached[] = [{ world: first, from: undefined, action: undefined, depth: 0 }];
  let depth = 0;
  for (let next = 0; next < queue.length; next++) {
    const here = at(queue, next);
    depth = here.depth;
    for (const action of moves(here.world, bounds)) {
      const world = await apply(here.world, action, bounds, rules);
      if (world === undefined) continue;
      const identity = identities.of(world);
      if (seen.has(identity)) continue;
      seen.add(identity);
      checker.check(world, rules);
      const there = { world, from: here, action, depth: depth + 1 };
      if (world.wrong !== undefined) return found(there, world.wrong, false, seen.size);
      const late = await healed(world, bounds, rules, seen.size);
      if (late !== undefined) return found(there, late, true, seen.size);
      queue.push(there);
    }
    // What was expanded is needed for the way back alone.
    queue[next] = { ...here, world: first };
    if (seen.size >= bounds.statesMax) return outcome(seen.size, depth, false);
  }
  return outcome(seen.size, depth, true);
}

async function healed(
  world: World,
  { healEvery }: Bounds,
  rules: Rules,
  count: number,
): Promise<string | undefined> {
  if (healEvery === 0 || count % healEvery !== 0) return undefined;
  const copy = cloneWorld(world);
  await heal(copy, rules);
  return copy.wrong;
}

function outcome(states: number, depth: number, complete: boolean): Found {
  return { wrong: undefined, trace: [], afterHealing: false, states, depth, complete };
}

function found(last: Reached, wrong: string, afterHealing: boolean, states: number): Found {
  const trace: Traced[] = [];
  for (let here: Reached | undefined = last; here?.action !== undefined; here = here.from) {
    trace.unshift({ at: 0, action: here.action });
  }
  return { wrong, trace, afterHealing, states, depth: last.depth, complete: false };
}

/** The step, and all calls that it makes; undefined: it does nothing here. */
async function apply(
  from: World,
  action: Action,
  bounds: Bounds,
  rules: Rules,
): Promise<World | undefined> {
  const world = cloneWorld(from);
  if ((await step(world, action, rules)) !== 'done') return undefined;
  for (const i of world.engines.keys()) await step(world, { do: 'flush', i }, rules);
  // Who has nothing to lose by it follows at once: fewer worlds that differ in nothing else.
  const node = world.primary;
  if (world.relays.length > 0)
    await step(world, { do: 'follow', who: 'persister', i: 0, node }, rules);
  if (world.recoveries[0]?.step === 'idle')
    await step(world, { do: 'follow', who: 'recovery', i: 0, node }, rules);
  const keepsUp = bounds.form === 'kafka' && !bounds.lag;
  for (;;) {
    if (keepsUp) await step(world, { do: 'persister', i: 0 }, rules);
    const call = world.messages.find(({ kind }) => kind !== 'produce');
    if (call === undefined) break;
    const arrived = await step(world, { do: 'deliver', key: call.key }, rules);
    if (arrived === 'blocked') await step(world, { do: 'drop', key: call.key }, rules);
  }
  // A mark that is seen late only delays: an engine looks as soon as there is one.
  for (const i of world.engines.keys()) await step(world, { do: 'poll', i }, rules);
  return world;
}

const EXPIRY_MS = 2_000;

function* moves(world: World, bounds: Bounds): Generator<Action> {
  const { primary, nodes } = world;
  for (const [i, { busy, verb, attempt }] of world.clients.entries()) {
    if (!busy && verb !== 'done') yield { do: 'client', i };
    if (busy) yield { do: 'give_up', i, attempt };
  }
  for (const { key } of world.messages) yield { do: 'deliver', key };
  for (const [i, { node, asks }] of world.engines.entries()) {
    if (asks.length > 0) yield { do: 'ask', i };
    for (const [to, { role }] of nodes.entries()) {
      if (role === 'primary' && to !== node) yield { do: 'follow', who: 'engine', i, node: to };
    }
    if (bounds.expire && i === 0 && world.now > 0) yield { do: 'sweep', i };
  }
  const embedded = world.relays.length === 0;
  if (!embedded) yield { do: 'relay', i: 0 };
  if (bounds.lag || embedded) yield { do: 'persister', i: 0 };
  if (world.recoveries[0]?.step !== 'idle' || countTerms(world) < bounds.terms) {
    yield { do: 'recovery', i: 0 };
  }
  if (world.relays.length > 0) yield { do: 'follow', who: 'relay', i: 0, node: primary };
  if (embedded) yield { do: 'follow', who: 'persister', i: 0, node: primary };
  if (world.recoveries[0]?.step !== 'idle') {
    yield { do: 'follow', who: 'recovery', i: 0, node: primary };
  }
  for (const i of nodes.keys()) {
    yield { do: 'replicate', i };
    yield { do: 'demote', i };
    if (bounds.trim) yield { do: 'trim', i };
  }
  if (bounds.expire && world.now === 0) yield { do: 'wait', ms: EXPIRY_MS };
  yield* faults(world, bounds);
}

function* faults(world: World, bounds: Bounds): Generator<Action> {
  if (world.faults - world.crashes < bounds.faults) {
    for (const node of world.nodes.keys()) {
      if (node !== world.primary) yield { do: 'fault', fault: 'promote', node };
    }
  }
  if (world.crashes >= bounds.crashes) return;
  for (const who of ['relay', 'recovery'] as const) {
    const process = who === 'relay' ? world.relays[0] : world.recoveries[0];
    if (process === undefined || (who === 'recovery' && world.recoveries[0]?.step === 'idle'))
      continue;
    for (const loses of process.flight === undefined ? [true] : [true, false]) {
      yield { do: 'fault', fault: 'crash', who, index: 0, loses };
    }
  }
  if (bounds.half && !world.nodes.some(({ dies }) => dies)) {
    yield { do: 'fault', fault: 'half', node: world.primary };
  }
}

function countTerms(world: World): number {
  return world.pg.registry.term % 2 ** 32;
}
