/** What may happen in a run, as fast-check's commands. */
import fc from 'fast-check';
import { type Draft, draft, fill, fleeting } from './drafts.ts';
import type { Run } from './run.ts';

/** fast-check keeps model and real system apart; a run holds both. */
type Step = fc.AsyncCommand<object, Run>;

/** Time may pass by this much in one run without coming near midnight (shop.ts). */
const PASS_S_MAX = 30_000;

abstract class Always implements Step {
  check(): boolean {
    return true;
  }
  abstract run(model: object, run: Run): Promise<void>;
  abstract toString(): string;
}

class Once extends Always {
  readonly #draft: Draft;
  readonly #engine: number;

  constructor(from: Draft, engine: number) {
    super();
    this.#draft = from;
    this.#engine = engine;
  }

  async run(_model: object, run: Run): Promise<void> {
    await run.ask(fill(run, this.#draft), this.#engine);
  }

  override toString(): string {
    return `${'AB'[this.#engine]}: ${JSON.stringify(this.#draft)}`;
  }
}

/** Two asks at once; twice the same is what an impatient client does. */
class Both extends Always {
  readonly #drafts: readonly [Draft, Draft];

  constructor(first: Draft, second: Draft) {
    super();
    this.#drafts = [first, second];
  }

  async run(_model: object, run: Run): Promise<void> {
    const [first, second] = this.#drafts;
    await run.askBoth([fill(run, first), fill(run, second)]);
  }

  override toString(): string {
    return `at once: ${JSON.stringify(this.#drafts)}`;
  }
}

/** The same again, later, perhaps to another engine. */
class Again extends Always {
  readonly #nth: number;
  readonly #engine: number;

  constructor(nth: number, engine: number) {
    super();
    this.#nth = nth;
    this.#engine = engine;
  }

  async run(_model: object, run: Run): Promise<void> {
    const ask = run.asked.at(-1 - this.#nth);
    if (ask !== undefined) await run.ask(ask, this.#engine);
  }

  override toString(): string {
    return `${'AB'[this.#engine]}: again, ${this.#nth} before the last`;
  }
}

class Pass implements Step {
  readonly #seconds: number;

  constructor(seconds: number) {
    this.#seconds = seconds;
  }

  check(): boolean {
    return true;
  }

  async run(_model: object, run: Run): Promise<void> {
    if (run.passedS + (this.#seconds % 86_400) > PASS_S_MAX) return;
    run.passedS += this.#seconds % 86_400;
    run.tell(`${this.#seconds} s pass`);
    await run.city.pass(this.#seconds);
    run.shop.pass(this.#seconds);
    await run.checkBalances(0);
  }

  toString(): string {
    return `${this.#seconds} s pass`;
  }
}

const FAULTS = {
  copyTail: 'Redis is as it will be after a lost tail',
  loseTail: 'Redis is killed and comes back with a lost tail',
  restart: 'Redis restarts',
  empty: 'Redis is emptied',
} as const;

class Fault extends Always {
  readonly #kind: keyof typeof FAULTS;

  constructor(kind: keyof typeof FAULTS) {
    super();
    this.#kind = kind;
  }

  async run(_model: object, run: Run): Promise<void> {
    run.tell(FAULTS[this.#kind]);
    await run.city[this.#kind]();
    run.noteEpoch();
    await run.checkBalances(0);
  }

  override toString(): string {
    return FAULTS[this.#kind];
  }
}

/** What was acknowledged at `memory` alone goes with the tail that Redis loses. */
class LoseUnlogged extends Always {
  readonly #drafts: readonly Draft[];
  readonly #isPersisterSpared: boolean;

  constructor(drafts: readonly Draft[], isPersisterSpared: boolean) {
    super();
    this.#drafts = drafts;
    this.#isPersisterSpared = isPersisterSpared;
  }

  async run(_model: object, run: Run): Promise<void> {
    const asks = this.#drafts.map((from) => () => fill(run, from));
    await run.loseAsks(asks, this.#isPersisterSpared);
  }

  override toString(): string {
    const persister = this.#isPersisterSpared ? 'persister spared, ' : '';
    return `${persister}lost: ${JSON.stringify(this.#drafts)}`;
  }
}

const engine = fc.nat({ max: 1 });
const lossy = fc.tuple(fc.array(fleeting, { minLength: 1, maxLength: 4 }), fc.boolean());

/** `faults`: a restart takes seconds, so it is rare. */
export function steps(stepsMax: number): fc.Arbitrary<Iterable<Step>> {
  const weighted: [number, fc.Arbitrary<Step>][] = [
    [120, fc.tuple(draft, engine).map(([from, at]) => new Once(from, at))],
    [20, fc.tuple(draft, draft).map(([first, second]) => new Both(first, second))],
    [20, draft.map((from) => new Both(from, from))],
    [30, fc.tuple(fc.nat({ max: 6 }), engine).map(([nth, at]) => new Again(nth, at))],
    [14, fc.constantFrom(1_000, 2_000, 3_000).map((seconds) => new Pass(seconds))],
    [4, fc.constantFrom(87_400, 2 * 86_400 + 1_000).map((seconds) => new Pass(seconds))],
    [2, lossy.map(([all, isSpared]) => new LoseUnlogged(all, isSpared))],
    [3, fc.constant(new Fault('copyTail'))],
    [
      2,
      fc
        .constantFrom<keyof typeof FAULTS>('loseTail', 'restart', 'empty')
        .map((kind) => new Fault(kind)),
    ],
  ];
  // One arbitrary for all: fast-check weighs the alternatives of `oneof`, not those of `commands`.
  const step = fc.oneof(...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary })));
  return fc.commands([step], { maxCommands: stepsMax, size: 'max' });
}
