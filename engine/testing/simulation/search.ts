/**
 * Exhaustive search of one configuration, breadth first: from each world every step that is possible,
 * in any order, until nothing new comes or the bound is reached. What is found is a shortest trace.
 */
import { Checker } from './checks.ts';
import { heal } from './heal.ts';
import { Identities } from './identity.ts';
import type { Rules } from './rules.ts';
import { type Configuration, worldOf } from './search-configuration.ts';
import { FAIR, faults, type Limits, MOVERS, type Mover, UNLIMITED } from './search-moves.ts';
import type { Traced } from './simulate.ts';
import { type Action, type StepResult, step } from './step.ts';
import { at, cloneWorld, type World } from './world.ts';

export interface Found {
  readonly wrong: string | undefined;
  /** What the configuration prepares, then the steps that were chosen; prompt movers are left out. */
  readonly trace: readonly Traced[];
  readonly afterHealing: boolean;
  /** Different worlds that were seen. */
  readonly states: number;
  readonly depth: number;
  /** Every reachable world was seen. */
  readonly complete: boolean;
}

interface Reached {
  /** Undefined once it was expanded: it is needed for the way back alone. */
  world: World | undefined;
  readonly from: Reached | undefined;
  readonly action: Action;
  readonly depth: number;
}

export async function search(
  configuration: Configuration,
  rules: Rules,
  worldsMax = Number.POSITIVE_INFINITY,
): Promise<Found> {
  const identities = new Identities();
  const healing = new Healing(identities, rules);
  const prepared: Action[] = [];
  const begun = await prepare(configuration, rules, prepared);
  const seen = new Set([identities.of(begun)]);
  const tell = (last: Reached | undefined, wrong: string, afterHealing: boolean): Found => ({
    wrong,
    trace: traceTo(last, prepared),
    afterHealing,
    states: seen.size,
    depth: last?.depth ?? 0,
    complete: false,
  });
  if (begun.wrong !== undefined) return tell(undefined, begun.wrong, false);
  const first: Reached = { world: begun, from: undefined, action: { do: 'sentinel' }, depth: 0 };
  let layer: Reached[] = [first];
  for (let depth = 1; ; depth++) {
    const next: Reached[] = [];
    for (const here of layer) {
      if (here.world === undefined) continue;
      for (const action of moves(here.world, configuration, begun)) {
        const world = await apply(here.world, action, configuration, rules);
        if (world === undefined) continue;
        const identity = identities.of(world);
        if (seen.has(identity)) continue;
        seen.add(identity);
        const there = { world, from: here === first ? undefined : here, action, depth };
        new Checker().check(world, rules);
        if (world.wrong !== undefined) return tell(there, world.wrong, false);
        const late = await healing.wrongIn(world);
        if (late !== undefined) return tell(there, late, true);
        next.push(there);
      }
      here.world = undefined;
      if (seen.size >= worldsMax) return outcome(seen.size, depth, false);
    }
    if (next.length === 0) return outcome(seen.size, depth - 1, true);
    layer = next;
  }
}

function outcome(states: number, depth: number, complete: boolean): Found {
  return { wrong: undefined, trace: [], afterHealing: false, states, depth, complete };
}

function traceTo(last: Reached | undefined, prepared: readonly Action[]): Traced[] {
  const chosen: Action[] = [];
  for (let here = last; here !== undefined; here = here.from) chosen.unshift(here.action);
  return [...prepared, ...chosen].map((action) => ({ at: 0, action }));
}

/**
 * From every world it must come to rest, without further faults: some fair rounds, then heal.ts. What
 * follows is the same for worlds that are one after some of the rounds, so it is looked at once.
 */
class Healing {
  readonly #identities: Identities;
  readonly #known = new Set<string>();
  readonly #rules: Rules;

  constructor(identities: Identities, rules: Rules) {
    this.#identities = identities;
    this.#rules = rules;
  }

  async wrongIn(begun: World): Promise<string | undefined> {
    const world = cloneWorld(begun);
    const passed = new Set<string>();
    for (let round = 0; round < FAIR_ROUNDS; round++) {
      await turns(world, FAIR, UNLIMITED, this.#rules);
      if (world.wrong !== undefined) return world.wrong;
      const identity = this.#identities.of(world);
      if (this.#known.has(identity)) return undefined;
      if (passed.has(identity)) break;
      passed.add(identity);
    }
    await heal(world, this.#rules);
    for (const identity of passed) this.#known.add(identity);
    return world.wrong;
  }
}

const FAIR_ROUNDS = 6;

function* moves(world: World, { free, limits }: Configuration, begun: World): Generator<Action> {
  for (const mover of free) yield* MOVERS[mover](world, limits, begun);
  yield* faults(world, limits, begun);
}

/** The step, and all that prompt movers do behind it; undefined: it does nothing here. */
async function apply(
  from: World,
  action: Action,
  configuration: Configuration,
  rules: Rules,
): Promise<World | undefined> {
  const world = cloneWorld(from);
  if ((await take(world, action, rules)) !== 'done') return undefined;
  await settle(world, configuration, rules);
  return world;
}

const ROUNDS_MAX = 200;

async function settle(world: World, { prompt, limits }: Configuration, rules: Rules) {
  for (let round = 0; await turns(world, prompt, limits, rules); round++) {
    if (round > ROUNDS_MAX) throw new Error('prompt movers do not come to rest');
  }
}

/** Each mover once; false: none had anything to do. */
async function turns(
  world: World,
  movers: readonly Mover[],
  limits: Limits,
  rules: Rules,
): Promise<boolean> {
  let isMoving = false;
  for (const mover of movers) {
    for (const action of MOVERS[mover](world, limits, world)) {
      const doing = take(world, action, rules);
      const result = typeof doing === 'string' ? doing : await doing;
      if (result !== 'idle') isMoving = true;
      if (result === 'blocked' && action.do === 'deliver') {
        await step(world, { do: 'drop', key: action.key }, rules);
      }
    }
  }
  return isMoving;
}

/**
 * One step. The nonce of an entry that it writes says where it was written, not when: the same writes
 * on two nodes, in either order, are the same world.
 */
function take(world: World, action: Action, rules: Rules): StepResult | Promise<StepResult> {
  const node = writerOf(world, action);
  if (node !== undefined) {
    const { replid, offset } = at(world.nodes, node);
    world.fresh = Number(replid.slice(1)) * WRITES_MAX + offset;
  }
  return step(world, action, rules);
}

const WRITES_MAX = 1_000;

function writerOf(world: World, action: Action): number | undefined {
  if (action.do === 'recovery') return at(world.recoveries, action.i).node;
  if (action.do !== 'deliver') return undefined;
  const message = world.messages.find(({ key }) => key === action.key);
  return message?.kind === 'exec' ? message.node : undefined;
}

const PREPARING_MAX = 100;

/** The world that the search begins from. What a planted bug breaks on the way there is found too. */
async function prepare(configuration: Configuration, rules: Rules, done: Action[]): Promise<World> {
  const world = worldOf(configuration);
  // A planted bug may make one impossible; the rest is searched from where that leads.
  const act = async (action: Action): Promise<void> => {
    if ((await take(world, action, rules)) === 'done') done.push(action);
    await settle(world, configuration, rules);
    new Checker().check(world, rules);
  };
  for (const preparation of configuration.prepare) {
    if ('do' in preparation) {
      await act(preparation);
      continue;
    }
    const { mover, until } = preparation;
    for (let turn = 0; !until(world); turn++) {
      if (turn > PREPARING_MAX) break;
      const actions = [...MOVERS[mover](world, configuration.limits, world)];
      for (const action of actions) if (!until(world)) await act(action);
    }
  }
  return world;
}
