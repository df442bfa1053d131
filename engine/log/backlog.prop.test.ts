/** The decision: when the log is full, what passes then, and that no clock and no noise changes it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BACKLOG_LEVELS,
  type BacklogBound,
  type BacklogLevel,
  type BacklogSize,
  type LaneRequest,
  levelAfter,
  passes,
  shareOf,
} from './backlog.ts';
import { BacklogBook, type BacklogLook } from './backlog-book.ts';
import { BacklogBytes, memoryOf } from './backlog-size.ts';

const SEED = Number(process.env.HOLDFAST_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
const RUNS = { seed: SEED, numRuns: 500 };
const BOUND: BacklogBound = { bytesMax: 100_000, ageMsMax: 60_000 };
const ALL: readonly LaneRequest[] = [
  ...(['reserve', 'extend', 'cancel', 'ship', 'stock'] as const),
  ...(['commit', 'release', 'expire', 'inspect'] as const),
];

const level = fc.constantFrom(...BACKLOG_LEVELS);
const size: fc.Arbitrary<BacklogSize> = fc.record({
  entries: fc.nat(1_000),
  bytes: fc.double({ min: 0, max: 4 * BOUND.bytesMax, noNaN: true }),
  ageMs: fc.double({ min: 0, max: 4 * BOUND.ageMsMax, noNaN: true }),
});
const rank = (of: BacklogLevel): number => BACKLOG_LEVELS.indexOf(of);

describe(`the decision, seed ${SEED}`, () => {
  it('refuses what is new at the bound, whatever was before, and below four fifths never', () => {
    fc.assert(
      fc.property(level, size, (before, now) => {
        const after = levelAfter(before, now, BOUND);
        const share = shareOf(now, BOUND);
        for (const request of ['reserve', 'extend', 'cancel', 'ship', 'stock'] as const) {
          if (share >= 1) expect(passes(after, request)).toBe(false);
          if (share < 0.8) expect(passes(after, request)).toBe(true);
        }
      }),
      RUNS,
    );
  });

  it('lets end what was promised up to twice the bytes, and nothing but look-ups beyond', () => {
    fc.assert(
      fc.property(level, size, (before, now) => {
        const after = levelAfter(before, now, BOUND);
        for (const request of ['commit', 'release', 'expire'] as const) {
          if (now.bytes >= 2 * BOUND.bytesMax) expect(passes(after, request)).toBe(false);
          // However old the oldest entry is: what ends a hold makes none older.
          if (now.bytes < 1.8 * BOUND.bytesMax) expect(passes(after, request)).toBe(true);
        }
        expect(passes(after, 'inspect')).toBe(true);
      }),
      RUNS,
    );
  });

  it('alarms before it is full, always', () => {
    fc.assert(
      fc.property(size, (now) => {
        const after = levelAfter('calm', now, BOUND);
        if (shareOf(now, BOUND) >= 0.7) expect(after).not.toBe('calm');
        if (shareOf(now, BOUND) < 1) expect(rank(after)).toBeLessThan(rank('full'));
      }),
      RUNS,
    );
  });

  it('does not flap: noise below a tenth of the bound changes the level at most once', () => {
    const noise = fc.array(fc.double({ min: -0.045, max: 0.045, noNaN: true }), { minLength: 20 });
    fc.assert(
      fc.property(fc.double({ min: 0, max: 2.2, noNaN: true }), noise, (share, errors) => {
        let now: BacklogLevel = levelAfter('calm', sized(share), BOUND);
        let changes = 0;
        for (const error of errors) {
          const next = levelAfter(now, sized(share + error), BOUND);
          if (next !== now) changes++;
          now = next;
        }
        expect(changes).toBeLessThanOrEqual(1);
      }),
      RUNS,
    );
  });

  it('comes to the same level, from wherever, when nothing waits', () => {
    for (const before of BACKLOG_LEVELS) {
      expect(levelAfter(before, { entries: 0, bytes: 0, ageMs: 0 }, BOUND)).toBe('calm');
    }
    expect(ALL.every((request) => passes('calm', request) && passes('alarm', request))).toBe(true);
  });
});

function sized(share: number): BacklogSize {
  return { entries: 1, bytes: Math.max(0, share) * BOUND.bytesMax, ageMs: 0 };
}

describe(`the book, seed ${SEED}`, () => {
  it('estimates what waits, whatever the sizes of a quiet hour and of a sale are', () => {
    const phase = fc.record({
      entries: fc.integer({ min: 1, max: 400 }),
      bytes: fc.constantFrom(120, 400, 4_000, 50_000),
    });
    const history = fc.array(phase, { minLength: 1, maxLength: 700 });
    fc.assert(
      fc.property(history, fc.double({ min: 0, max: 1, noNaN: true }), (phases, persisted) => {
        const bytes = new BacklogBytes(0);
        const each: number[] = [];
        phases.forEach((one, atMs) => {
          for (let i = 0; i < one.entries; i++) each.push(memoryOf(one.bytes));
          bytes.add(each.length, [one.bytes], atMs);
        });
        const from = Math.floor(persisted * each.length);
        bytes.forget(from);
        const all = each.slice(from).reduce((sum, one) => sum + one, 0);
        // Where stretches were joined, the one that is cut is only known on average.
        const joined = each.slice(0, from).length === 0 ? 0 : 2 * 400 * 4 * memoryOf(50_000);
        expect(Math.abs(bytes.bytes() - all)).toBeLessThanOrEqual(joined + all / 1e6);
      }),
      { ...RUNS, numRuns: 100 },
    );
  });

  it('is passed by what was let in before a reply told of it, and by no more', () => {
    const engines = fc.integer({ min: 1, max: 4 });
    const inFlight = fc.integer({ min: 1, max: 5 });
    const looksEvery = fc.integer({ min: 1, max: 10_000 });
    fc.assert(
      fc.property(engines, inFlight, looksEvery, (count, flying, every) => {
        const wrote = sellUntilRefused(count, flying, every);
        const most = BOUND.bytesMax + count * flying * memoryOf(ENTRY_BYTES);
        expect(wrote * memoryOf(ENTRY_BYTES)).toBeLessThanOrEqual(most + memoryOf(ENTRY_BYTES));
        expect(wrote * memoryOf(ENTRY_BYTES)).toBeGreaterThanOrEqual(0.9 * BOUND.bytesMax);
      }),
      { ...RUNS, numRuns: 200 },
    );
  });

  it('never calls an entry older than it was known, however far the clock jumps ahead', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e9 }), (laneAgeMs) => {
        const fresh = new BacklogBook(BOUND);
        fresh.learn(look({ seq: 5, persistedSeq: 5, atMs: 1_000 }));
        fresh.learn(look({ seq: 9, persistedSeq: 5, atMs: 1_250, samples: [100], laneAgeMs }));
        fresh.learn(look({ seq: 9, persistedSeq: 5, atMs: 2_250, laneAgeMs }));
        expect(fresh.size.ageMs).toBeLessThanOrEqual(1_000);
        expect(passes(fresh.level, 'reserve')).toBe(true);
      }),
      RUNS,
    );
  });

  it('stays full while the same entry waits, however the clock of Redis goes back', () => {
    const ages = fc.array(fc.integer({ min: -1e9, max: BOUND.ageMsMax * 2 }), { minLength: 1 });
    fc.assert(
      fc.property(ages, (laneAges) => {
        const book = new BacklogBook(BOUND);
        const old = { seq: 3, persistedSeq: 1, samples: [100] };
        // There when the engine started, so lane time is all that tells how old it is.
        book.learn(look({ ...old, laneAgeMs: BOUND.ageMsMax, atMs: 0 }));
        let before = 0;
        laneAges.forEach((laneAgeMs, i) => {
          book.learn(look({ ...old, laneAgeMs, atMs: i * 250 }));
          expect(passes(book.level, 'reserve')).toBe(false);
          expect(passes(book.level, 'commit')).toBe(true);
          expect(book.size.ageMs).toBeGreaterThanOrEqual(before);
          before = book.size.ageMs;
        });
        book.learn(look({ ...old, persistedSeq: 3, atMs: 1e6 }));
        expect(book.level).toBe('calm');
      }),
      RUNS,
    );
  });

  it('takes no look that is older than what it knows, and begins anew with an epoch', () => {
    const book = new BacklogBook(BOUND);
    book.learn(look({ seq: 2_000, persistedSeq: 0, samples: [1_000], laneAgeMs: 0 }));
    expect(book.level).toBe('hard');
    book.learn(look({ seq: 10, persistedSeq: 10 }));
    expect(book.level).toBe('hard');
    book.learn(look({ epoch: 2, seq: 1, persistedSeq: 0, samples: [100], laneAgeMs: 0 }));
    expect([book.level, book.size.entries]).toEqual(['calm', 1]);
  });
});

const ENTRY_BYTES = 300;

function look(told: Partial<BacklogLook> & Pick<BacklogLook, 'seq'>): BacklogLook {
  return { epoch: 1, persistedSeq: 0, laneAgeMs: undefined, samples: [], atMs: 0, ...told };
}

/**
 * Engines that sell as fast as they may while nothing is persisted, each with batches in flight that
 * it let in before; says how many entries were written. Every reply tells where the lane stands.
 */
function sellUntilRefused(engines: number, inFlight: number, looksEvery: number): number {
  const books = Array.from({ length: engines }, () => new BacklogBook(BOUND));
  const flying = books.map(() => 0);
  const seen = books.map(() => 1);
  let seq = 1;
  const lookAll = (): void => {
    for (const book of books) {
      book.learn(look({ seq, samples: [ENTRY_BYTES], laneAgeMs: 0, atMs: seq }));
    }
  };
  lookAll();
  for (let turn = 0; ; turn++) {
    if (turn % looksEvery === 0) lookAll();
    books.forEach((book, i) => {
      while ((flying[i] ?? 0) < inFlight && passes(book.levelAt(1, seen[i] ?? 0), 'reserve')) {
        flying[i] = (flying[i] ?? 0) + 1;
      }
    });
    if (flying.every((count) => count === 0)) return seq;
    flying.forEach((count, i) => {
      if (count === 0) return;
      flying[i] = count - 1;
      seq++;
      seen[i] = seq;
    });
  }
}
