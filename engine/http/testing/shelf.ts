/** Stock and reservations in the state that a test needs, made through the API. */
import { expect } from 'vitest';
import type { TestAnswer, TestEngine } from '../../testing/engine.ts';
import type { Api } from './api.ts';
import { expectReservation, until } from './api.ts';

export interface ExpiredHold {
  readonly sku: string;
  readonly id: string;
  readonly epoch: number;
}

export interface Shelf {
  /** A SKU of its own for each call, with its units at A; 10 by default. */
  readonly newSku: (units?: number) => Promise<string>;
  readonly hold: (sku: string, quantity?: number, more?: object) => Promise<string>;
  readonly committed: (sku: string, quantity?: number) => Promise<string>;
  /** Of one unit. */
  readonly expiredHold: (sku: string) => Promise<ExpiredHold>;
  /** Commits it with what it needs to take the unit again. */
  readonly takeAgain: (hold: ExpiredHold) => Promise<TestAnswer>;
}

export function shelfOf(engine: TestEngine, api: Api): Shelf {
  let count = 0;
  const shelf: Shelf = {
    async newSku(units = 10) {
      count += 1;
      const sku = `SKU-${count}`;
      await engine.stock({ [`${sku}@A`]: units });
      return sku;
    },
    async hold(sku, quantity = 1, more = {}) {
      const answer = await api.reserve({ items: [{ sku_id: sku, quantity }], ...more });
      return expectReservation(answer, 201).reservation_id;
    },
    async committed(sku, quantity) {
      const id = await shelf.hold(sku, quantity);
      const answer = await api.commit({ reservation_id: id }, { prefer: 'durability=memory' });
      expectReservation(answer, 200);
      return id;
    },
    async expiredHold(sku) {
      const answer = await api.reserve({ items: [{ sku_id: sku, quantity: 1 }], ttl_seconds: 1 });
      const { reservation_id: id, epoch } = expectReservation(answer, 201);
      await engine.passSeconds(2);
      const swept = await until(
        () => api.look(id),
        ({ body }) => body.status === 'expired',
      );
      expect(swept.body.status).toBe('expired');
      return { sku, id, epoch };
    },
    takeAgain({ sku, id, epoch }) {
      const lines = [{ sku_id: sku, warehouse_id: 'A', quantity: 1 }];
      return api.commit({ reservation_id: id, lines, hold_epoch: epoch });
    },
  };
  return shelf;
}
