/** A whole sale in virtual time against a counter in memory: the crowd buys every unit, whatever it abandons. */
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { SaleClock } from './sale.ts';
import { runSale } from './sale.ts';
import type { ShopperAnswer, ShopperRequest } from './shopper.ts';
import { planSale } from './shoppers.ts';

const seed = process.env.HOLDFAST_TEST_SEED ?? String(Math.trunc(Math.random() * 2 ** 31));
console.info(`seed ${seed} (HOLDFAST_TEST_SEED=${seed} repeats it)`);

const UNITS = 1_000;
const HOLD_TTL_MS = 5_000;

/** Runs what is due millisecond by millisecond, each as soon as the one before has been answered. */
class VirtualClock implements SaleClock {
  #nowMs = 0;
  readonly #due = new Map<number, Set<() => void>>();

  readonly nowMs = (): number => this.#nowMs;

  readonly after = (delayMs: number, run: () => void): (() => void) => {
    const atMs = this.#nowMs + Math.max(1, Math.ceil(delayMs));
    const due = this.#due.get(atMs) ?? new Set();
    this.#due.set(atMs, due.add(run));
    return () => due.delete(run);
  };

  async runUntil(untilMs: number): Promise<void> {
    for (; this.#nowMs <= untilMs; this.#nowMs += 1) {
      const due = this.#due.get(this.#nowMs);
      if (due === undefined) continue;
      for (const run of due) run();
      this.#due.delete(this.#nowMs);
      await setImmediate();
    }
  }
}

/** A correct shop, reduced to what the crowd sees of it. */
class CounterShop {
  available = UNITS;
  sold = 0;
  readonly #clock: SaleClock;
  readonly #holds = new Map<string, { quantity: number; state: 'held' | 'committed' | 'over' }>();

  constructor(clock: SaleClock) {
    this.#clock = clock;
  }

  answer(request: ShopperRequest): ShopperAnswer {
    return request.kind === 'reserve'
      ? this.#reserve(request.idempotencyKey, request.quantity)
      : this.#settle(request.kind, request.reservationId);
  }

  #reserve(key: string, quantity: number): ShopperAnswer {
    const reservationId = `r/${key}`;
    if (this.#holds.has(reservationId)) return { kind: 'reserved', reservationId };
    if (this.available < quantity) return { kind: 'sold_out' };
    this.available -= quantity;
    const hold = { quantity, state: 'held' as const };
    this.#holds.set(reservationId, hold);
    this.#clock.after(HOLD_TTL_MS, () => this.#giveBack(reservationId));
    return { kind: 'reserved', reservationId };
  }

  #settle(kind: 'commit' | 'release', reservationId: string): ShopperAnswer {
    const hold = this.#holds.get(reservationId);
    if (hold === undefined) return { kind: 'refused', code: 'not_found' };
    if (kind === 'release') {
      this.#giveBack(reservationId);
      return { kind: 'released' };
    }
    if (hold.state === 'over') return { kind: 'lost' };
    if (hold.state === 'held') this.sold += hold.quantity;
    hold.state = 'committed';
    return { kind: 'committed' };
  }

  #giveBack(reservationId: string): void {
    const hold = this.#holds.get(reservationId);
    if (hold?.state !== 'held') return;
    hold.state = 'over';
    this.available += hold.quantity;
  }
}

async function failing(): Promise<ShopperAnswer> {
  throw new Error('no network');
}

const plans = planSale({ seed, shoppers: 20_000, durationMs: 10_000, holdTtlMs: HOLD_TTL_MS });

describe('runSale', () => {
  it(`sells all ${UNITS} units to 20,000 shoppers`, async () => {
    const clock = new VirtualClock();
    const shop = new CounterShop(clock);
    let lateMs = 0;
    const { tally, done } = runSale({
      plans,
      clock,
      send: async (request, dueAtMs) => {
        lateMs = Math.max(lateMs, clock.nowMs() - dueAtMs);
        return shop.answer(request);
      },
    });
    await clock.runUntil(60_000);
    expect(await done).toBe(tally);

    const note = `seed ${seed}: ${JSON.stringify(tally)}`;
    expect(shop.sold, note).toBe(UNITS);
    expect(shop.available, note).toBe(0);
    expect(tally.unitsBought, note).toBe(UNITS);
    expect(tally.violations, note).toEqual([]);
    expect(tally.refusals, note).toEqual({});
    const outcomes = Object.values(tally.outcomes).reduce((sum, count) => sum + count, 0);
    expect(outcomes, note).toBe(20_000);
    const requests = Object.values(tally.requests).reduce((sum, count) => sum + count, 0);
    const answers = Object.values(tally.answers).reduce((sum, count) => sum + count, 0);
    expect(answers, note).toBe(requests);
    for (const outcome of ['bought', 'sold_out', 'abandoned', 'released'] as const) {
      expect(tally.outcomes[outcome], note).toBeGreaterThan(0);
    }
    expect(tally.duplicates, note).toBeGreaterThan(1_000);
    expect(lateMs).toBeLessThanOrEqual(1);
  });

  it('sees a shop that makes a reservation of every repeat', async () => {
    const clock = new VirtualClock();
    let reservations = 0;
    const { done } = runSale({
      plans: plans.slice(0, 500),
      clock,
      send: async (request) => {
        if (request.kind !== 'reserve') return { kind: 'committed' };
        reservations += 1;
        return { kind: 'reserved', reservationId: `r${reservations}` };
      },
    });
    await clock.runUntil(60_000);
    const { violations } = await done;
    expect(violations.length, `seed ${seed}`).toBeGreaterThan(0);
    expect(violations[0]).toMatch(/one key made 2 reservations: r\d+, r\d+/);
  });

  it('stops sending when it is aborted', async () => {
    const clock = new VirtualClock();
    const controller = new AbortController();
    let sent = 0;
    const { done } = runSale({
      plans,
      clock,
      signal: controller.signal,
      send: async () => {
        sent += 1;
        return { kind: 'sold_out' };
      },
    });
    await clock.runUntil(500);
    controller.abort();
    const tally = await done;
    expect(sent).toBeGreaterThan(0);
    expect(tally.requests.reserve).toBe(sent);
    await clock.runUntil(60_000);
    expect(tally.requests.reserve).toBe(sent);
  });

  it('ends at once without shoppers, and fails when the sender does', async () => {
    expect((await runSale({ plans: [], send: failing }).done).unitsBought).toBe(0);
    const [plan] = plans;
    const one = plan === undefined ? [] : [{ ...plan, arriveAtMs: 0 }];
    // On the real clock, which the default is.
    await expect(runSale({ plans: one, send: failing }).done).rejects.toThrow('no network');
  });
});
