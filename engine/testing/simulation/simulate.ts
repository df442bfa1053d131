/**
 * One seed: an event queue over virtual time. Turns of processes recur, messages arrive after a
 * drawn delay, faults come when the scenario says; then the world is healed. The same seed gives the
 * same run, step by step.
 */
import { Checker, type Losses } from './checks.ts';
import { heal } from './heal.ts';
import { initialWorld } from './initial.ts';
import { createRandom, type Random } from './random.ts';
import type { Rules } from './rules.ts';
import type { Scenario } from './scenario.ts';
import { type Action, step } from './step.ts';
import { at, type Message, type World } from './world.ts';

/** A step that did something, and when. */
export interface Traced {
  readonly at: number;
  readonly action: Action;
}

export interface Run {
  readonly world: World;
  readonly trace: readonly Traced[];
  readonly losses: Losses;
  /** The invariant broke only after healing began. */
  readonly afterHealing: boolean;
  readonly steps: number;
}

export async function simulate(scenario: Scenario, rules: Rules): Promise<Run> {
  const schedule = new Schedule(scenario);
  const { world, trace } = schedule;
  const checker = new Checker();
  let steps = 0;
  for (;;) {
    const due = schedule.next();
    if (due === undefined) break;
    steps++;
    const seen = world.messages.length;
    const doing = step(world, due.action, rules);
    const result = typeof doing === 'string' ? doing : await doing;
    schedule.after(due, result, seen);
    if (result !== 'done') continue;
    trace.push({ at: world.now, action: due.action });
    checker.check(world, rules);
    if (world.wrong !== undefined) break;
  }
  const afterHealing = world.wrong === undefined;
  const losses = await heal(world, rules, checker);
  return { world, trace, losses, afterHealing, steps };
}

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly action: Action;
  /** A turn comes again after about so long. */
  readonly everyMs?: number;
}

const BLOCKED_RETRY_MS = 120;

class Schedule {
  readonly world: World;
  readonly trace: Traced[] = [];
  readonly #scenario: Scenario;
  readonly #random: Random;
  readonly #queue = new Queue();
  readonly #scheduled = new Set<string>();
  #order = 0;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.#random = createRandom(scenario.seed ^ 0x5eed);
    this.world = initialWorld(scenario.config, scenario.plans);
    this.#begin();
  }

  #begin(): void {
    const { world } = this;
    for (const { atMs, fault } of this.#scenario.faults) {
      this.#add(atMs, { do: 'fault', ...fault });
    }
    for (const [i, { startAt }] of world.plans.entries())
      this.#every(90, { do: 'client', i }, startAt);
    for (const i of world.engines.keys()) {
      this.#every(25, { do: 'flush', i });
      this.#every(60, { do: 'poll', i });
      this.#every(110, { do: 'ask', i });
      this.#every(350, { do: 'sweep', i });
    }
    for (const i of world.relays.keys()) this.#every(35, { do: 'relay', i });
    for (const i of world.persisters.keys()) this.#every(50, { do: 'persister', i });
    for (const i of world.recoveries.keys()) this.#every(60, { do: 'recovery', i });
    for (const i of world.nodes.keys()) {
      this.#every(30, { do: 'replicate', i });
      this.#every(this.#scenario.demoteEveryMs, { do: 'demote', i });
      this.#every(1_000, { do: 'fsync', i });
      this.#every(900, { do: 'trim', i });
    }
    this.#every(100, { do: 'sentinel' });
    this.#every(400, { do: 'standby' });
  }

  /** The next step, with the clock set to it; undefined: the time is over. */
  next(): Due | undefined {
    const due = this.#queue.pop();
    if (due === undefined || due.atMs > this.#scenario.lengthMs) return undefined;
    this.world.now = Math.max(this.world.now, due.atMs);
    return due;
  }

  after(due: Due, result: string, _seen: number): void {
    const { world } = this;
    if (due.everyMs !== undefined) this.#every(due.everyMs, due.action, world.now);
    if (due.action.do === 'deliver') this.#scheduled.delete(due.action.key);
    if (result === 'blocked' && due.action.do === 'deliver') this.#blocked(due.action.key);
    if (result === 'blocked' && due.action.do === 'give_up') {
      this.#add(world.now + BLOCKED_RETRY_MS, due.action);
    }
    if (result !== 'done') return;
    if (due.action.do === 'client') this.#awaitAnswer(due.action.i);
    if (due.action.do === 'sentinel' || due.action.do === 'fault') this.#follow();
    for (const message of world.messages) {
      if (!this.#scheduled.has(message.key)) this.#send(message);
    }
  }

  #awaitAnswer(i: number): void {
    const { attempt, busy } = at(this.world.clients, i);
    if (!busy) return;
    const atMs = this.world.now + this.world.config.waitMsMax + this.#random.int(0, 300);
    this.#add(atMs, { do: 'give_up', i, attempt });
  }

  /** Everybody hears of the primary in their own time; some fast, some late. */
  #follow(): void {
    const { world } = this;
    const node = world.primary;
    for (const [who, list] of [
      ['engine', world.engines],
      ['relay', world.relays],
      ['persister', world.persisters],
      ['recovery', world.recoveries],
    ] as const) {
      for (const [i, each] of list.entries()) {
        if (each.node === node || (who === 'engine' && this.#scenario.deaf.includes(i))) continue;
        const delay = this.#random.int(5, this.#scenario.followMsMax);
        this.#add(world.now + delay, { do: 'follow', who, i, node });
      }
    }
  }

  #send(message: Message): void {
    const { key, kind } = message;
    this.#scheduled.add(key);
    const isLost = kind !== 'transaction' && this.#random.chance(this.#scenario.lossRate);
    const slow = this.#random.chance(this.#scenario.slowRate) ? this.#scenario.slowMs : 40;
    const atMs = this.world.now + this.#random.int(1, slow);
    // A produce is sent again until it lands; only its sender's death loses it.
    const isDropped = isLost && kind !== 'produce';
    this.#add(atMs, { do: isDropped ? 'drop' : 'deliver', key });
  }

  /** A stopped node keeps what was sent to it; a cut drops it, or its bytes wait. */
  #blocked(key: string): void {
    this.#scheduled.add(key);
    const isKept = this.#scenario.holdsBytes || this.#random.chance(0.3);
    const atMs = this.world.now + BLOCKED_RETRY_MS;
    this.#add(atMs, { do: isKept || isDurable(key) ? 'deliver' : 'drop', key });
  }

  #every(everyMs: number, action: Action, from = 0): void {
    const atMs = from + Math.ceil(everyMs * (0.5 + this.#random.next()));
    this.#queue.push({ atMs, order: this.#order++, action, everyMs });
  }

  #add(atMs: number, action: Action): void {
    this.#queue.push({ atMs, order: this.#order++, action });
  }
}

function isDurable(key: string): boolean {
  return key.startsWith('produce') || key.startsWith('transaction');
}

/** A binary heap by time, then by order of arrival. */
class Queue {
  readonly #heap: Due[] = [];

  push(due: Due): void {
    const heap = this.#heap;
    let i = heap.push(due) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(due, at(heap, parent))) break;
      heap[i] = at(heap, parent);
      i = parent;
    }
    heap[i] = due;
  }

  pop(): Due | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let i = 0;
    for (;;) {
      const left = 2 * i + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const child = right < heap.length && isBefore(at(heap, right), at(heap, left)) ? right : left;
      if (!isBefore(at(heap, child), last)) break;
      heap[i] = at(heap, child);
      i = child;
    }
    heap[i] = last;
    return top;
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.atMs - b.atMs < 0 || (a.atMs === b.atMs && a.order < b.order);
}
