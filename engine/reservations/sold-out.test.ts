import { describe, expect, it } from 'vitest';
import type { CellField, Sku } from '../domain/ids.ts';
import type { LaneStamp, ReserveLine } from '../redis/operation.ts';
import { SoldOutCache } from './sold-out.ts';

const AGE_MS = 200;
const stampOf = (epoch: number): LaneStamp => ({ epoch, seq: 1, timeMs: 0, offsetMs: 0 });
const STAMP = stampOf(5);

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
    cache.learn(what, split, { stamp: STAMP, available }, clock.ms);
  const finds = (what: ReserveLine, { split = true, partial = false } = {}): boolean =>
    cache.find(what, split, partial) !== undefined;
  return { clock, counted, cache, learn, finds };
}

describe('a no', () => {
  it('is believed for its time from the question on, and no answer renews it', () => {
    const { clock, counted, learn, finds } = start();
    learn(line('HOT'));
    clock.ms += AGE_MS - 1;
    expect(finds(line('HOT'))).toBe(true);
    clock.ms += 1;
    expect(finds(line('HOT'))).toBe(false);
    expect(counted.answers).toBe(1);
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
    cache.unlearn(line('HOT'), true);
    expect(finds(line('HOT'))).toBe(false);
  });

  it('does not give way to one that was asked for before', () => {
    const { clock, cache, learn, finds } = start();
    clock.ms += 50;
    learn(line('HOT'), 0);
    cache.learn(line('HOT'), true, { stamp: STAMP, available: 9 }, clock.ms - 50);
    expect(finds(line('HOT', 5))).toBe(true);
  });

  it('goes with its epoch, and with a lane that is closed', () => {
    const { clock, cache, learn, finds } = start();
    learn(line('HOT'));
    cache.learn(line('COLD'), true, { stamp: stampOf(6), available: 0 }, clock.ms);
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
