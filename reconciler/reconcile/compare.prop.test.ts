/**
 * The verdict on a cell, over random lives of it: whatever is sold between the looks, stores that are
 * honest are never called drift; and a store that was bent and left alone always is, once it stands
 * still. The seed is printed; HOLDFAST_TEST_SEED repeats it.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Cell } from '../../engine/domain/cell.ts';
import { encodeCell } from '../../engine/events/cell-codec.ts';
import { judgeCell } from './compare.ts';
import type { RedisCell, StoredCell } from './facts.ts';

const seed = Number(process.env.HOLDFAST_TEST_SEED ?? Date.now() % 2 ** 31);
const RUNS = { seed, numRuns: 2_000 };

const change = fc.record({
  available: fc.integer({ min: -5, max: 5 }),
  reserved: fc.integer({ min: -5, max: 5 }),
  allocated: fc.integer({ min: 0, max: 5 }),
});
type Change = { available: number; reserved: number; allocated: number };

/** States of a cell, one after another; each write is a version. */
function lifeOf(changes: readonly Change[]): Cell[] {
  const life: Cell[] = [{ available: 100, reserved: 0, allocated: 0, version: 1 }];
  for (const by of changes) {
    const last = life.at(-1);
    if (last === undefined) break;
    life.push({
      available: last.available + by.available,
      reserved: last.reserved + by.reserved,
      allocated: last.allocated + by.allocated,
      version: last.version + 1,
    });
  }
  return life;
}

function inRedis(cell: Cell | undefined): RedisCell {
  return cell === undefined ? { kind: 'absent' } : { kind: 'cell', bytes: encodeCell(cell), cell };
}

function inPostgres(cell: Cell | undefined): StoredCell | undefined {
  return cell && { ...cell, epoch: 7, seq: cell.version, suspect: null };
}

/** Four looks in the order in which they are taken: R1 <= P1 <= R2 <= P2. */
const looks = (steps: number) =>
  fc
    .array(fc.integer({ min: 0, max: steps }), { minLength: 4, maxLength: 4 })
    .map((at) => [...at].sort((a, b) => a - b));

const story = fc
  .array(change, { minLength: 1, maxLength: 12 })
  .chain((changes) => fc.record({ changes: fc.constant(changes), at: looks(changes.length) }));

describe(`the verdict on a cell (seed ${seed})`, () => {
  it('is never drift while both stores tell one history, at whatever moments', () => {
    fc.assert(
      fc.property(story, ({ changes, at }) => {
        const life = lifeOf(changes);
        const [r1, p1, r2, p2] = at.map((step) => life[step]);
        const redis = [inRedis(r1), inRedis(r2)] as const;
        const verdict = judgeCell(redis, [inPostgres(p1), inPostgres(p2)]);
        expect(verdict).not.toBe('drift');
        const isQuiet = new Set(at).size === 1;
        if (isQuiet) expect(verdict).toBe('agree');
      }),
      RUNS,
    );
  });

  it('is drift when one store was bent by hand and nothing moves', () => {
    const bend = change.filter((by) => by.available + by.reserved + by.allocated !== 0);
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 6 }),
        bend,
        fc.constantFrom('redis', 'postgres'),
        fc.constantFrom(-1, 0, 1),
        (changes, by, store, versions) => {
          const right = lifeOf(changes).at(-1);
          if (right === undefined) return;
          const wrong = {
            available: right.available + by.available,
            reserved: right.reserved + by.reserved,
            allocated: right.allocated + by.allocated,
            version: right.version + versions,
          };
          const redis = inRedis(store === 'redis' ? wrong : right);
          const stored = inPostgres(store === 'postgres' ? wrong : right);
          expect(judgeCell([redis, redis], [stored, stored])).toBe('drift');
        },
      ),
      RUNS,
    );
  });

  it('is drift when one store lost it, and agreement when neither has it', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 6 }), (changes) => {
        const cell = lifeOf(changes).at(-1);
        const [absent, there] = [inRedis(undefined), inRedis(cell)];
        const row = inPostgres(cell);
        expect(judgeCell([absent, absent], [row, row])).toBe('drift');
        expect(judgeCell([there, there], [undefined, undefined])).toBe('drift');
        expect(judgeCell([absent, absent], [undefined, undefined])).toBe('agree');
      }),
      RUNS,
    );
  });

  it('tells a Redis that fell back from one that moves on', () => {
    const [old, now] = lifeOf([{ available: -1, reserved: 1, allocated: 0 }]);
    const redis = [inRedis(old), inRedis(old)] as const;
    expect(judgeCell(redis, [inPostgres(now), inPostgres(now)])).toBe('drift');
    expect(judgeCell([inRedis(old), inRedis(now)], [inPostgres(now), inPostgres(now)])).toBe(
      'agree',
    );
  });
});
