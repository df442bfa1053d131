/** Where the warehouses stand, and which one an order tries first. */
import { describe, expect, it } from 'vitest';
import { isId } from '../../engine/domain/ids.ts';
import { readRealOrders } from './parse.ts';
import { distanceKm, homeWarehouse, rankWarehouses, WAREHOUSES } from './warehouses.ts';

const IDS = WAREHOUSES.map((warehouse) => warehouse.warehouseId);

describe('WAREHOUSES', () => {
  it('have valid ids, time zones and cut-off times, and shares that sum to 1', () => {
    for (const warehouse of WAREHOUSES) {
      expect(isId(warehouse.warehouseId)).toBe(true);
      expect(warehouse.cutOffTime).toMatch(/^([01]\d|2[0-3]):[0-5]\d$/);
      const inZone = () => new Intl.DateTimeFormat('en', { timeZone: warehouse.timeZone });
      expect(inZone).not.toThrow();
    }
    expect(WAREHOUSES.reduce((sum, { homeShare }) => sum + homeShare, 0)).toBeCloseTo(1, 12);
  });
});

describe('distanceKm', () => {
  it('agrees with known great-circle distances', () => {
    const paris = { latitude: 48.8566, longitude: 2.3522 };
    expect(distanceKm({ latitude: 51.5074, longitude: -0.1278 }, paris)).toBeCloseTo(343.6, 0);
    expect(
      distanceKm({ latitude: 0, longitude: 179 }, { latitude: 0, longitude: -179 }),
    ).toBeCloseTo(222.4, 0);
    expect(distanceKm(paris, paris)).toBe(0);
  });
});

describe('rankWarehouses', () => {
  it.each([
    ['EIRE', 'uk-daventry'],
    ['France', 'nl-venlo'],
    ['Switzerland', 'fr-lyon'],
    ['Poland', 'de-leipzig'],
    ['Netherlands', 'nl-venlo'],
    ['Spain', 'fr-lyon'],
  ])('from %s: %s first', (country, first) => {
    expect(rankWarehouses(country, '536365')[0]).toBe(first);
  });

  it('names every warehouse once, the same for the same order', () => {
    for (const order of ['536365', '536366', '536367', '536368']) {
      const ranked = rankWarehouses('United Kingdom', order);
      expect(ranked.toSorted()).toEqual(IDS.toSorted());
      expect(rankWarehouses('United Kingdom', order)).toEqual(ranked);
      expect(ranked[0]).toBe(homeWarehouse(order));
    }
  });

  it('refuses a country that it does not know', () => {
    expect(() => rankWarehouses('Atlantis', '536365')).toThrow(/"Atlantis" of order 536365/);
  });

  it('knows every country of the data', async () => {
    for (const line of await readRealOrders()) rankWarehouses(line.country, line.invoice);
  });
});

describe('homeWarehouse', () => {
  it('spreads as the shares say', () => {
    const orders = Array.from({ length: 10_000 }, (_, index) => String(500_000 + index));
    for (const { warehouseId, homeShare } of WAREHOUSES) {
      const part = orders.filter((order) => homeWarehouse(order) === warehouseId).length / 10_000;
      expect(Math.abs(part - homeShare)).toBeLessThan(0.02);
    }
  });
});
