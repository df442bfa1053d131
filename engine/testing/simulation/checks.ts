/**
 * What must be true, by the names of the design (section 2), checked against books that the protocol
 * does not keep: what clients were told, the movements, and the auditor's own reading of the log.
 */

import type { Change } from '../../events/entry.ts';
import { isSameEntry } from '../../log/place.ts';
import { LogFold } from '../auditor/fold.ts';
import { idOf, isHalfDone } from './lane-model.ts';
import { isAlive } from './nodes.ts';
import { logRecords } from './persister-model.ts';
import type { Product } from './product.ts';
import type { Rules } from './rules.ts';
import {
  at,
  breaks,
  type Fact,
  type Hold,
  type LaneData,
  type Level,
  nameOf,
  type Pg,
  type World,
} from './world.ts';

type State = Hold['state'] | undefined;

/** What PostgreSQL will be when it has read the whole log: the log's truth. */
interface Truth {
  readonly stateOf: (id: string) => State;
  readonly has: (entry: string) => boolean;
}

function truthOf(world: World, consume: Product['consume']): Truth {
  const { pg, config, log } = world;
  const from = Number(pg.position.offset);
  const records = config.form === 'kafka' ? logRecords(world, from, log.length) : [];
  const { accepted } = consume(pg.position, records, 'kafka');
  const states = new Map<string, State>();
  for (const { changes } of accepted) {
    for (const change of changes) if ('id' in change) states.set(change.id, after(change));
  }
  const names = new Set(accepted.map(({ key }) => nameOf(key)));
  return {
    stateOf: (id) => states.get(id) ?? pg.reservations[id]?.hold.state,
    has: (entry) => names.has(entry) || pg.entries.includes(entry),
  };
}

function after({ type }: Change): State {
  if (type === 'reserved') return 'held';
  if (type === 'cancelled') return 'closed';
  return type === 'committed' || type === 'released' || type === 'expired' ? type : undefined;
}

const SAFE: ReadonlySet<Level> = new Set(['logged', 'persisted']);
const NOS: ReadonlySet<string> = new Set(['hold_lost', 'not_found', 'expired']);
const MONEY: ReadonlySet<string> = new Set(['commit', 'cancel', 'look_up']);

export function isFinalNo({ verb, outcome, state }: Fact): boolean {
  return MONEY.has(verb) && (NOS.has(outcome) || (verb === 'look_up' && state === 'expired'));
}

/** By the table of the design, not by the product's: what the client may rely on. */
function promised(world: World, { client, verb, state, outcome }: Fact): Level {
  const { levels } = at(world.plans, client);
  const showsCommit = state === 'committed' || state === 'closed';
  if (!showsCommit && !DONE.has(outcome)) return 'memory';
  const wanted = levels[verb];
  if (wanted !== undefined) return wanted;
  return showsCommit || verb === 'commit' || verb === 'cancel' ? 'logged' : 'memory';
}

const DONE: ReadonlySet<string> = new Set([
  'created',
  'exists',
  'committed',
  'released',
  'cancelled',
]);

/** A client is told something for good. */
export function onFact(world: World, told: Fact, rules: Rules): void {
  const fact = { ...told, level: promised(world, told) };
  world.facts.push(fact);
  const truth = truthOf(world, rules.product.consume);
  const { id } = at(world.plans, fact.client);
  const state = truth.stateOf(id);
  if (isFinalNo(fact) && state === 'committed' && !world.pgLost) {
    breaks(world, `I2: ${id} is told ${fact.outcome}, its commit is in the log`);
  }
  const isSafe = SAFE.has(fact.level) && !world.pgLost;
  if (isSafe && fact.entry !== undefined && !truth.has(fact.entry)) {
    breaks(world, `I2: ${fact.verb} of ${id} is acknowledged as ${fact.level}, the log lacks it`);
  }
  const isCommitted = fact.outcome === 'committed' || fact.state === 'committed';
  if (isSafe && isCommitted && state !== 'committed' && state !== 'closed') {
    breaks(world, `I2: ${id} is told committed, in the log it is ${state ?? 'unknown'}`);
  }
  // A standby that was promoted behind reads what it lacks from the log again.
  const isFirst = world.pg.timeline === 1;
  if (fact.level === 'persisted' && isSafe && isFirst && fact.entry !== undefined) {
    if (!world.pg.entries.includes(fact.entry)) {
      breaks(world, `I2: ${id} is acknowledged as persisted, PostgreSQL lacks it`);
    }
  }
  checkLedger(world);
}

/** I1 by the clients' own books: what they were told is theirs, once. */
function checkLedger(world: World): void {
  const bought = world.config.units.map(() => 0);
  const counted = new Set<number>();
  for (const { client, outcome, level } of world.facts) {
    const plan = at(world.plans, client);
    if (outcome !== 'committed' || plan.goal === 'cancel' || counted.has(client)) continue;
    if (!SAFE.has(level) || world.pgLost) continue;
    counted.add(client);
    for (const { cell, units } of plan.lines) bought[cell] = (bought[cell] ?? 0) + units;
  }
  bought.forEach((units, cell) => {
    const granted = at(world.config.units, cell);
    if (units > granted) breaks(world, `I1: ${units} units of s${cell} sold, ${granted} granted`);
  });
}

/** Looks at each state of PostgreSQL and of the live lane once. */
export class Checker {
  readonly #pgs = new WeakSet<Pg>();
  #lane: LaneData | undefined;
  #facts = 0;

  check(world: World, rules: Rules): void {
    if (!this.#pgs.has(world.pg)) {
      this.#pgs.add(world.pg);
      checkPg(world);
    }
    const { data } = at(world.nodes, world.primary);
    if (data === this.#lane && world.facts.length === this.#facts) return;
    this.#lane = data;
    this.#facts = world.facts.length;
    checkLane(world, rules);
  }
}

function checkPg(world: World): void {
  const { pg, config } = world;
  if (pg.suspect !== undefined) breaks(world, `I4: ${pg.suspect}`);
  if (pg.position.parked !== undefined) breaks(world, `I8: parked: ${pg.position.parked}`);
  pg.cells.forEach(({ available, reserved, allocated, ledger }, i) => {
    const granted = at(config.units, i);
    if (Math.min(available, reserved, allocated) < 0) {
      breaks(world, `I1: PostgreSQL has s${i} at ${available}/${reserved}/${allocated}`);
    }
    const isBooked =
      ledger.available === available &&
      ledger.reserved === reserved &&
      ledger.allocated === allocated;
    if (!isBooked || available + reserved + allocated !== granted) {
      breaks(
        world,
        `I4: PostgreSQL has s${i} at ${available}/${reserved}/${allocated} of ${granted}`,
      );
    }
  });
}

/** The lane that sells: its units, its holds, and what clients were told of it. */
function checkLane(world: World, rules: Rules): void {
  const node = at(world.nodes, world.primary);
  const { data } = node;
  const { registry } = world.pg;
  const isLive = isAlive(node) && data.open && data.replid === idOf(node, rules);
  if (!isLive || registry.state !== 'open' || registry.term !== data.term || isHalfDone(data))
    return;
  const held = world.config.units.map(() => ({ held: 0, committed: 0 }));
  for (const { state, lines } of Object.values(data.holds)) {
    if (state !== 'held' && state !== 'committed') continue;
    for (const { cell, units } of lines) at(held, cell)[state] += units;
  }
  world.config.units.forEach((granted, i) => {
    const cell = data.cells[i] ?? { available: 0, reserved: 0, allocated: 0 };
    const { available, reserved, allocated } = cell;
    const { held: holds, committed } = at(held, i);
    const isSound = reserved === holds && allocated === committed && available >= 0;
    if (!isSound || available + reserved + allocated !== granted) {
      const what = `${available}/${reserved}/${allocated} of ${granted}, holds ${holds}/${committed}`;
      breaks(world, `I1/I4: the open lane has s${i} at ${what}`);
    }
  });
  if (world.pgLost) return;
  for (const { client, outcome, level } of world.facts) {
    const { id } = at(world.plans, client);
    const state = data.holds[id]?.state;
    const isKept = state === 'committed' || state === 'closed';
    if (outcome === 'committed' && SAFE.has(level) && !isKept) {
      breaks(world, `I2: the open lane has lost the acknowledged commit of ${id}`);
    }
  }
}

/** Redis = log = PostgreSQL, with the lane open; else what is not yet so. */
export function unsettled(world: World, rules: Rules): string | undefined {
  const node = at(world.nodes, world.primary);
  const { data } = node;
  const { pg, config, log } = world;
  if (pg.registry.state === 'parked') return 'the lane is parked';
  if (!data.open || data.replid !== idOf(node, rules) || isHalfDone(data))
    return 'the lane is closed';
  if (pg.registry.state !== 'open' || pg.registry.term !== data.term)
    return 'the registry is not open';
  if (world.recoveries.some(({ step }) => step !== 'idle')) return 'a recovery is under way';
  if (!isSameEntry(data.last, pg.position)) return 'PostgreSQL is not at the last entry of Redis';
  if (config.form === 'kafka' && Number(pg.position.offset) !== log.length)
    return 'the log is not read';
  if (world.messages.length > 0) return 'something is in flight';
  return undefined;
}

/** After healing. Counts what was acknowledged and lost, by level. */
export function checkFinally(world: World): Losses {
  const { pg } = world;
  const { data } = at(world.nodes, world.primary);
  pg.cells.forEach((row, i) => {
    const cell = data.cells[i];
    const isSame =
      cell?.available === row.available &&
      cell.reserved === row.reserved &&
      cell.allocated === row.allocated &&
      cell.version === row.version;
    if (!isSame) breaks(world, `I8: s${i} differs between Redis and PostgreSQL`);
  });
  const ids = new Set([...Object.keys(pg.reservations), ...Object.keys(data.holds)]);
  for (const id of ids) {
    const [mine, theirs] = [data.holds[id], pg.reservations[id]?.hold];
    if (!isSameHold(mine, theirs)) {
      breaks(world, `I8: ${id} is ${mine?.state} in Redis, ${theirs?.state} in PostgreSQL`);
    }
  }
  const fold = new LogFold();
  for (const bytes of pg.bytes) fold.applyBytes(bytes);
  const [first] = fold.violations;
  if (first !== undefined) breaks(world, `${first.invariant}: ${first.where}: ${first.what}`);
  return countLosses(world);
}

function isSameHold(a: Hold | undefined, b: Hold | undefined): boolean {
  if (a?.state !== b?.state) return false;
  if (a === undefined || b === undefined || (a.state !== 'held' && a.state !== 'committed'))
    return true;
  const isSameLines = JSON.stringify(a.lines) === JSON.stringify(b.lines);
  const isSameDeadline = a.state === 'committed' || a.deadlineS === b.deadlineS;
  return a.version === b.version && isSameLines && isSameDeadline;
}

export type Losses = Readonly<Record<Level, { acked: number; lost: number }>>;

export function noLosses(): Record<Level, { acked: number; lost: number }> {
  const none = () => ({ acked: 0, lost: 0 });
  return { memory: none(), replicated: none(), logged: none(), persisted: none() };
}

function countLosses(world: World): Losses {
  const losses = noLosses();
  const kept = new Set(world.pg.entries);
  for (const { level, entry, verb, client } of world.facts) {
    if (entry === undefined) continue;
    losses[level].acked++;
    if (kept.has(entry)) continue;
    losses[level].lost++;
    const isPromised =
      SAFE.has(level) || (level === 'replicated' && world.config.replicatedSurvives);
    if (isPromised && !world.pgLost) {
      const { id } = at(world.plans, client);
      breaks(world, `I2: ${verb} of ${id}, acknowledged as ${level}, is lost`);
    }
  }
  if (world.pgLost) return losses;
  for (const fact of world.facts) {
    const { id } = at(world.plans, fact.client);
    // A replay wrote nothing of its own: what it showed must be there.
    const isKept = fact.level === 'replicated' && world.config.replicatedSurvives;
    if (isKept && DONE.has(fact.outcome) && world.pg.reservations[id] === undefined) {
      breaks(world, `I2: ${id}, shown as replicated, is lost`);
    }
    if (!isFinalNo(fact) || world.pg.reservations[id]?.hold.state !== 'committed') continue;
    if (world.clockSetBack) continue;
    breaks(world, `I7: ${id} was told ${fact.outcome}, and is committed`);
  }
  return losses;
}
