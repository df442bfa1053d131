import { describe, expect, it } from 'vitest';
import type { CellField, Sku } from '../domain/ids.ts';
import type { LaneStamp, OperationResult, ReserveLine } from '../redis/operation.ts';
import { SoldOutCache, wishOf } from './sold-out.ts';

const AGE_MS = 200;
const stampOf = (epoch: number): LaneStamp => ({ epoch, seq: 1, timeMs: 0, offsetMs: 0 });
const STAMP = stampOf(5);

function noOf(available: number, stamp = STAMP): OperationResult {
  return { outcome: 'insufficient', replayed: false, stamp, shortages: [{ line: 0, available }] };
}

function line(sku: string, quantity = 1, ...fields: string[]): ReserveLine {
  return { sku: sku as Sku, quantity, fields: fields as CellField[] };
}

function start(ageMsMax = AGE_MS) {
  const clock = { ms: 1_000 };
  const counted = { answers: 0 };
  const cache = new SoldOutCache({
    ageMsMax,
    now: () => clock.ms,
    onAnswer: () => {
      counted.answers += 1;
    },
  });
  const learn = (what: ReserveLine, available = 0, split = true): void =>
    cache.learn(wishOf(what, split), noOf(available), clock.ms);
  const finds = (what: ReserveLine, { split = true, partial = false } = {}): boolean =>
    cache.find(wishOf(what, split), partial ? 1 : what.quantity) !== undefined;
  return { clock, counted, cache, learn, finds };
}

describe('a no', () => {
  it('is believed for its time from the question on, and no answer renews it', () => {
    const { clock, counted, learn, finds } = start();
    learn(line('HOT'));
    clock.ms += AGE_MS - 1;
    expect(finds(line('HOT')), 'asks the lane').toBe(false);
    expect(finds(line('HOT'))).toBe(true);
    clock.ms += 1;
    expect(finds(line('HOT'))).toBe(false);
    expect(counted.answers).toBe(1);
  });

  it('has one ask again when half of its time is over, and nobody else before it ends', () => {
    const { clock, learn, finds } = start();
    learn(line('HOT'));
    clock.ms += AGE_MS / 2 - 1;
    expect(finds(line('HOT'))).toBe(true);
    clock.ms += 1;
    const asks = () => Array.from({ length: 256 }, () => finds(line('HOT'))).filter((no) => !no);
    expect(asks()).toHaveLength(1);
    clock.ms += AGE_MS / 2 - 1;
    expect(asks(), 'the answer does not come').toHaveLength(0);
    clock.ms += 1;
    expect(asks(), 'its time is over').toHaveLength(256);
  });

  it('is renewed by what the lane tells who asked again, counted from that question', () => {
    const { clock, learn, finds } = start();
    learn(line('HOT'));
    for (let round = 0; round < 50; round += 1) {
      clock.ms += AGE_MS / 2;
      expect(finds(line('HOT'))).toBe(false);
      learn(line('HOT'));
      expect(finds(line('HOT'))).toBe(true);
    }
  });

  it('is given as the same object until the lane is heard again', () => {
    const { cache, learn } = start();
    const wish = wishOf(line('HOT'), true);
    learn(line('HOT'));
    const first = cache.find(wish, 1);
    expect(first).toMatchObject({ outcome: 'insufficient' });
    expect(cache.find(wish, 7)).toBe(first);
    learn(line('HOT'));
    expect(cache.find(wish, 1)).not.toBe(first);
  });

  it('is of its SKU, its warehouses in their order, and whether it may be split', () => {
    const { learn, finds } = start();
    learn(line('HOT', 1, 'A', 'B'));
    expect(finds(line('HOT', 1, 'A', 'B'))).toBe(true);
    expect(finds(line('HOT', 1, 'B', 'A'))).toBe(false);
    expect(finds(line('HOT', 1, 'A'))).toBe(false);
    expect(finds(line('HOT'))).toBe(false);
    expect(finds(line('COLD', 1, 'A', 'B'))).toBe(false);
    expect(finds(line('HOT', 1, 'A', 'B'), { split: false })).toBe(false);
  });

  it('is of whoever wants more than there is', () => {
    const { learn, finds } = start();
    learn(line('HOT', 5), 2);
    expect(finds(line('HOT', 3))).toBe(true);
    expect(finds(line('HOT', 2))).toBe(false);
    expect(finds(line('HOT', 3), { partial: true }), 'takes the two').toBe(false);
    learn(line('HOT', 1), 0);
    expect(finds(line('HOT', 3), { partial: true })).toBe(true);
  });

  it('goes with a yes to the same wish', () => {
    const { cache, learn, finds } = start();
    learn(line('HOT'));
    cache.unlearn(wishOf(line('HOT'), true));
    expect(finds(line('HOT'))).toBe(false);
  });

  it('does not give way to one that was asked for before', () => {
    const { clock, cache, learn, finds } = start();
    clock.ms += 50;
    learn(line('HOT'), 0);
    cache.learn(wishOf(line('HOT'), true), noOf(9), clock.ms - 50);
    expect(finds(line('HOT', 5))).toBe(true);
  });

  it('goes with its epoch, and with a lane that is closed', () => {
    const { clock, cache, learn, finds } = start();
    learn(line('HOT'));
    cache.learn(wishOf(line('COLD'), true), noOf(0, stampOf(6)), clock.ms);
    expect(finds(line('HOT'))).toBe(false);
    expect(finds(line('COLD'))).toBe(true);
    learn(line('HOT'));
    expect(finds(line('HOT')), 'an answer of the epoch before').toBe(false);
    cache.forget();
    expect(finds(line('COLD'))).toBe(false);
  });
});

it('remembers no more than so many wishes', () => {
  const { learn, finds } = start();
  for (let i = 0; i <= 10_000; i += 1) learn(line(`SKU-${i}`));
  expect(finds(line('SKU-0'))).toBe(false);
  expect(finds(line('SKU-10000'))).toBe(true);
});

it('remembers nothing when its time is 0', () => {
  const { learn, finds } = start(0);
  learn(line('HOT'));
  expect(finds(line('HOT'))).toBe(false);
});
