/** The opening stock, and how the real orders fare on it when each cart is all or nothing. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { OpeningCell, OpeningStock } from './opening-stock.ts';
import { deriveOpeningStock } from './opening-stock.ts';
import type { OrderLine } from './parse.ts';
import { readRealOrders } from './parse.ts';
import { buildReplay } from './replay.ts';
import type { ReplayStep, ReserveStep } from './replay-step.ts';
import { WAREHOUSES } from './warehouses.ts';

interface Outcome {
  readonly refused: readonly ReserveStep[];
  readonly cartsSold: number;
  /** Lines that their order's first warehouse did not have whole. */
  readonly linesFromElsewhere: number;
}

/** A shop of one counter per cell: a line is taken from the first warehouses that have something of it. */
function play(cells: readonly OpeningCell[], steps: readonly ReplayStep[]): Outcome {
  const stock = new Map<string, number>();
  for (const cell of cells) stock.set(`${cell.skuId} ${cell.warehouseId}`, cell.quantity);
  const refused: ReserveStep[] = [];
  let cartsSold = 0;
  let linesFromElsewhere = 0;
  for (const step of steps) {
    if ('skuId' in step) {
      const key = `${step.skuId} ${step.warehouseId}`;
      const quantity = (stock.get(key) ?? 0) + step.quantity;
      if (quantity < 0) throw new Error(`${step.operationKey} takes more than stands there`);
      stock.set(key, quantity);
    }
    if (step.kind !== 'reserve') continue;
    const takes = step.lines.flatMap(({ skuId, quantity }) => {
      let left = quantity;
      const ofLine = step.warehouseIds.map((warehouseId) => {
        const key = `${skuId} ${warehouseId}`;
        const units = Math.min(left, stock.get(key) ?? 0);
        left -= units;
        return { key, units };
      });
      if (ofLine[0]?.units !== quantity) linesFromElsewhere += 1;
      return left === 0 ? ofLine : [undefined];
    });
    if (takes.includes(undefined)) refused.push(step);
    else {
      cartsSold += 1;
      for (const take of takes) {
        if (take !== undefined) stock.set(take.key, (stock.get(take.key) ?? 0) - take.units);
      }
    }
  }
  return { refused, cartsSold, linesFromElsewhere };
}

describe('deriveOpeningStock', () => {
  let lines: readonly OrderLine[];
  let opening: OpeningStock;

  beforeAll(async () => {
    lines = await readRealOrders();
    opening = deriveOpeningStock(lines);
  });

  it('puts every product into stock, in all four warehouses unless it is left short', () => {
    const warehousesOf = new Map<string, number>();
    expect(Math.min(...opening.cells.map((cell) => cell.quantity))).toBe(1);
    for (const { skuId } of opening.cells) {
      warehousesOf.set(skuId, (warehousesOf.get(skuId) ?? 0) + 1);
    }
    expect(warehousesOf.size).toBe(2009);
    const short = new Set(opening.shortSkus);
    const wrong = [...warehousesOf].filter(
      ([skuId, count]) => count !== (short.has(skuId) ? 1 : WAREHOUSES.length),
    );
    expect(wrong).toEqual([]);
  });

  it('fills nearly all real carts, the largest one too, and refuses some', () => {
    const { refused, cartsSold, linesFromElsewhere } = play(
      opening.cells,
      buildReplay(lines).steps,
    );
    expect(cartsSold + refused.length).toBe(423);
    const part = refused.length / 423;
    console.info(`${refused.length} of 423 carts refused, ${linesFromElsewhere} lines elsewhere`);
    expect(part).toBeGreaterThan(0.02);
    expect(part).toBeLessThan(0.1);
    expect(Math.max(...refused.map((step) => step.lines.length))).toBeLessThanOrEqual(100);
  });

  it('fills every cart when nothing is left short, each line from where its order looks first', () => {
    const full = deriveOpeningStock(lines, { shortShare: 0, margin: 0 });
    expect(full.shortSkus).toEqual([]);
    expect(play(full.cells, buildReplay(lines).steps)).toEqual({
      refused: [],
      cartsSold: 423,
      linesFromElsewhere: 0,
    });
  });

  it('spreads the units over the warehouses', () => {
    for (const { warehouseId } of WAREHOUSES) {
      const units = opening.cells
        .filter((cell) => cell.warehouseId === warehouseId)
        .reduce((sum, cell) => sum + cell.quantity, 0);
      expect(units / opening.units).toBeGreaterThan(0.05);
    }
  });

  it('is the same each time', () => {
    expect(deriveOpeningStock(lines)).toEqual(opening);
  });
});
