/**
 * The world runs on without faults, in fair rounds: everything is up, whatever is in flight arrives,
 * every process has its turn. Then the lane must be open with Redis = log = PostgreSQL.
 */
import { Checker, checkFinally, type Losses, noLosses, unsettled } from './checks.ts';
import { isAlive, restart } from './nodes.ts';
import type { Rules } from './rules.ts';
import { type Action, step } from './step.ts';
import { at, breaks, type Persister, put, type Recovery, type Relay, type World } from './world.ts';

const ROUNDS_MAX = 160;
/** 160 rounds are the 10 s in which I8 promises that the stores agree. */
const ROUND_MS = 60;

export async function heal(world: World, rules: Rules, checker = new Checker()): Promise<Losses> {
  mend(world, rules);
  for (let round = 0; round < ROUNDS_MAX; round++) {
    world.now += ROUND_MS;
    // Not before some rounds: a relay that is behind may have more to say.
    if (round > 3 && unsettled(world, rules) === undefined) return checkFinally(world);
    for (const action of roundOf(world)) {
      const done = step(world, action, rules);
      if (typeof done !== 'string') await done;
      checker.check(world, rules);
      if (world.wrong !== undefined) return noLosses();
    }
  }
  const why = unsettled(world, rules);
  // Stated: what a standby of PostgreSQL lacks, and no log has, a person decides.
  if (why === 'the lane is parked' && mayPark(world)) return noLosses();
  breaks(world, `I8: no convergence within ${ROUNDS_MAX * ROUND_MS} ms: ${why}`);
  return noLosses();
}

/** Embedded, a PostgreSQL that was promoted behind may lack what was trimmed. */
function mayPark(world: World): boolean {
  return world.config.form === 'embedded' && world.pgLost;
}

function mend(world: World, rules: Rules): void {
  world.nodes.forEach((node, i) => {
    if (!node.up) restart(world, i, 'replica', node.disk, rules);
    put(world.nodes, i, { hung: false, lags: false, dies: false });
  });
  world.sides = world.sides.map(() => 0);
  world.engines = world.engines.map((engine) => ({ ...engine, side: 0 }));
  world.promotedAt = Number.NEGATIVE_INFINITY;
  world.polite = true;
  world.interrupt = undefined;
  world.pgUp = true;
  world.kafkaUp = true;
  const awake = <T extends Relay | Persister | Recovery>(each: T): T => ({
    ...each,
    paused: false,
  });
  world.relays = world.relays.map(awake);
  world.persisters = world.persisters.map(awake);
  world.recoveries = world.recoveries.map(awake);
}

function* roundOf(world: World): Generator<Action> {
  const { primary } = world;
  for (const i of world.nodes.keys()) {
    yield { do: 'demote', i };
    yield { do: 'replicate', i };
  }
  if (!isAlive(at(world.nodes, primary))) return;
  for (const { key } of [...world.messages]) yield { do: 'deliver', key };
  for (const [who, list] of [
    ['engine', world.engines],
    ['relay', world.relays],
    ['persister', world.persisters],
    ['recovery', world.recoveries],
  ] as const) {
    for (const i of list.keys()) yield { do: 'follow', who, i, node: primary };
  }
  for (const i of world.engines.keys()) {
    yield { do: 'flush', i };
    yield { do: 'poll', i };
    yield { do: 'ask', i };
  }
  for (const i of world.persisters.keys()) yield { do: 'persister', i };
  for (const i of world.relays.keys()) yield { do: 'relay', i };
  for (const i of world.recoveries.keys()) yield { do: 'recovery', i };
}
