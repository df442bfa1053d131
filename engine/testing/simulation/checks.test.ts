/** The checker is checked: a loss, a duplicate and an oversell are each told, by their names. */
import { describe, expect, it } from 'vitest';
import { Checker, checkFinally, onFact } from './checks.ts';
import { makeRules } from './rules.ts';
import { scenarioOf } from './scenario.ts';
import { simulate } from './simulate.ts';
import { at, type Fact, put, type World } from './world.ts';

const rules = makeRules();

/** A world that came to rest with nothing wrong, and in which somebody bought. */
async function restedWorld(): Promise<{ world: World; bought: Fact }> {
  for (let seed = 1; seed < 100; seed++) {
    const { world } = await simulate(scenarioOf(seed, { form: 'kafka', kind: 'processes' }), rules);
    const bought = world.facts.find(
      ({ outcome, entry, client }) =>
        outcome === 'committed' && entry !== undefined && at(world.plans, client).goal === 'commit',
    );
    if (world.wrong === undefined && bought !== undefined && !world.pgLost)
      return { world, bought };
  }
  throw new Error('nobody bought anything in 100 seeds');
}

function without(world: World, name: string | undefined): void {
  world.pg = { ...world.pg, entries: world.pg.entries.filter((entry) => entry !== name) };
}

describe('the checker', () => {
  it('says nothing of a world that is right', async () => {
    const { world } = await restedWorld();
    checkFinally(world);
    expect(world.wrong).toBeUndefined();
  });

  it('tells an acknowledged commit that is lost', async () => {
    const { world, bought } = await restedWorld();
    without(world, bought.entry);
    const losses = checkFinally(world);
    expect(world.wrong).toMatch(/^I2: commit of c\d+, acknowledged as \w+, is lost$/);
    expect(losses.logged.lost + losses.persisted.lost + losses.replicated.lost).toBeGreaterThan(0);
  });

  it('tells a commit that was lost when it was acknowledged', async () => {
    const { world, bought } = await restedWorld();
    without(world, bought.entry);
    onFact(world, bought, rules);
    expect(world.wrong).toMatch(/^I2: commit of c\d+ is acknowledged as \w+, the log lacks it$/);
  });

  it('tells an oversell by the books of the clients', async () => {
    const { world, bought } = await restedWorld();
    const config = { ...world.config, units: world.config.units.map(() => 0) };
    const sold: World = { ...world, config };
    onFact(sold, bought, rules);
    expect(sold.wrong).toMatch(/^I1: \d+ units of s\d sold, 0 granted$/);
  });

  it('tells an entry that was applied twice', async () => {
    const { world } = await restedWorld();
    const last = at(world.pg.bytes, world.pg.bytes.length - 1);
    world.pg = { ...world.pg, bytes: [...world.pg.bytes, last] };
    checkFinally(world);
    expect(world.wrong).toMatch(/^(chain|I3|I4|I7)/);
  });

  it('tells a final no to somebody whose commit stands', async () => {
    const { world, bought } = await restedWorld();
    world.facts.push({ ...bought, outcome: 'hold_lost', state: undefined, level: 'memory' });
    checkFinally(world);
    expect(world.wrong).toMatch(/^I7: c\d+ was told hold_lost, and is committed$/);
  });

  it('tells a balance that the movements do not give', async () => {
    const { world } = await restedWorld();
    const cells = world.pg.cells.map((cell) => ({ ...cell, available: cell.available + 1 }));
    world.pg = { ...world.pg, cells };
    new Checker().check(world, rules);
    expect(world.wrong).toMatch(/^I4: PostgreSQL has s0/);
  });

  it('tells a hold that Redis and PostgreSQL know differently', async () => {
    const { world, bought } = await restedWorld();
    const { id } = at(world.plans, bought.client);
    const { data } = at(world.nodes, world.primary);
    const { [id]: _, ...holds } = data.holds;
    put(world.nodes, world.primary, { data: { ...data, holds } });
    checkFinally(world);
    expect(world.wrong).toMatch(/^I8: c\d+ is undefined in Redis, committed in PostgreSQL$/);
  });
});
