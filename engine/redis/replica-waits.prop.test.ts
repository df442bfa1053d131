/**
 * Whatever order scripts, replies and confirmations come in, over however many connections: each
 * wait ends exactly once, never as reached without a confirmation of its level and epoch at or
 * behind its position, and always as reached when its own batch's confirmation was.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { RedisLevel } from '../domain/durability.ts';
import { REDIS_LEVELS } from '../domain/durability.ts';
import { ReplicaWaits } from './replica-waits.ts';

const SEED = Number(process.env.HOLDFAST_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
const RUNS = process.env.HOLDFAST_TEST_LONG === '1' ? 20_000 : 500;

interface Batch {
  /** Whether it writes: what only reads stands at the position of the last write. */
  readonly writes: boolean;
  /** The lane was recovered before it. */
  readonly opens: boolean;
  /** What the batch was sent with, and whether that succeeds. */
  readonly confirmed: Readonly<Partial<Record<RedisLevel, boolean>>>;
  /** What its operations wait for, which may be something else. */
  readonly wanted: readonly RedisLevel[];
}

const level = fc.constantFrom(...REDIS_LEVELS);
const batch: fc.Arbitrary<Batch> = fc.record({
  writes: fc.boolean(),
  opens: fc.boolean(),
  confirmed: fc.dictionary(level, fc.boolean(), { maxKeys: 2 }),
  wanted: fc.array(level, { maxLength: 4 }),
});

interface Position {
  readonly epoch: number;
  readonly seq: number;
}

const implies = (confirmed: RedisLevel, wanted: RedisLevel): boolean =>
  confirmed === wanted || confirmed === 'fsync';

/** The node, and what is true of it: an independent and simpler account. */
class World {
  readonly #scheduler: fc.Scheduler;
  readonly #waits: ReplicaWaits;
  readonly #facts: (Position & { readonly level: RedisLevel })[] = [];
  readonly told: boolean[][] = [];
  #position: Position = { epoch: 1, seq: 0 };

  constructor(scheduler: fc.Scheduler, probeSucceeds: boolean) {
    this.#scheduler = scheduler;
    this.#waits = new ReplicaWaits(async (levels) => {
      const stamp = await this.#execute({ writes: false, opens: false });
      await Promise.all([...levels].map((each) => this.#confirm(each, stamp, probeSucceeds)));
    });
  }

  get waiting(): number {
    return this.#waits.waiting;
  }

  async #execute({ writes, opens }: Pick<Batch, 'writes' | 'opens'>): Promise<Position> {
    await this.#scheduler.schedule(Promise.resolve(), 'the script runs');
    const { epoch, seq } = this.#position;
    if (opens) this.#position = { epoch: epoch + 1, seq: 1 };
    else if (writes) this.#position = { epoch, seq: seq + 1 };
    const stamp = this.#position;
    await this.#scheduler.schedule(Promise.resolve(), 'its reply arrives');
    return stamp;
  }

  async #confirm(which: RedisLevel, stamp: Position, succeeds: boolean): Promise<void> {
    const end = this.#waits.expect(which, stamp);
    await this.#scheduler.schedule(Promise.resolve(), `${which} ends`);
    if (succeeds) this.#facts.push({ ...stamp, level: which });
    end(succeeds);
  }

  async run({ confirmed, wanted, ...script }: Batch): Promise<void> {
    const stamp = await this.#execute(script);
    const confirmations = Object.entries(confirmed) as [RedisLevel, boolean][];
    const ending = confirmations.map(([which, succeeds]) => this.#confirm(which, stamp, succeeds));
    for (const each of wanted) {
      const told: boolean[] = [];
      this.told.push(told);
      this.#waits.wait(each, stamp, (reached) => {
        told.push(reached);
        expect(reached, `${each} at ${stamp.epoch}-${stamp.seq}`).toBe(
          reached && this.#isTrue(each, stamp),
        );
        if (reached || this.#hasLaterEpoch(stamp)) return;
        const own = confirmations.filter(([which]) => implies(which, each));
        expect(own.filter(([, succeeds]) => succeeds)).toEqual([]);
      });
    }
    await Promise.all(ending);
  }

  #isTrue(wanted: RedisLevel, { epoch, seq }: Position): boolean {
    return this.#facts.some(
      (fact) => implies(fact.level, wanted) && fact.epoch === epoch && fact.seq >= seq,
    );
  }

  #hasLaterEpoch({ epoch }: Position): boolean {
    return this.#position.epoch > epoch;
  }
}

it(`a wait ends once, with the truth (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(batch, { minLength: 1, maxLength: 8 }),
      fc.boolean(),
      fc.scheduler(),
      async (batches, probeSucceeds, scheduler) => {
        const world = new World(scheduler, probeSucceeds);
        const all = Promise.all(batches.map((each) => world.run(each)));
        await scheduler.waitFor(all);
        await scheduler.waitIdle();
        expect(world.told.filter((told) => told.length !== 1)).toEqual([]);
        expect(world.waiting).toBe(0);
      },
    ),
    { numRuns: RUNS, seed: SEED },
  );
});
