import { describe, expect, it } from 'vitest';
import type { SaleTally } from '../load/sale.ts';
import { emptySummary } from '../orders/replay-summary.ts';
import { type DemoFacts, reportOf } from './report.ts';
import { addTallies } from './tally.ts';
import { tellReport, tellTryIt } from './words.ts';

const sale: SaleTally = {
  requests: { reserve: 25_000, commit: 1_100, release: 60 },
  duplicates: 2_000,
  retries: 3,
  answers: {
    reserved: 1_200,
    sold_out: 23_800,
    committed: 1_050,
    released: 60,
    lost: 0,
    unknown: 3,
    refused: 0,
  },
  outcomes: {
    bought: 940,
    sold_out: 18_000,
    abandoned: 100,
    released: 60,
    lost: 0,
    unresolved: 0,
    refused: 0,
  },
  unitsBought: 1_000,
  refusals: {},
  violations: [],
};

const audit: DemoFacts['audit'] = {
  ok: true,
  position: { epoch: 4_294_967_297, seq: 3_148 },
  compared: {
    cells: 7_971,
    holds: 0,
    reservations: 1_570,
    operations: 142,
    ledger_cells: 7_971,
    movements: 27_654,
    stored_reservations: 1_570,
    stored_operations: 142,
    entries: 3_148,
    log_entries: 3_148,
    log_changes: 4_000,
  },
  units: {
    granted: 129_678,
    available: 46_272,
    reserved: 0,
    allocated: 83_406,
    shipped: 0,
    oversold: 0,
  },
  difference_count: 0,
  duration_ms: 4_000,
};

const latency = {
  count: 25_000,
  meanMs: 2,
  p50Ms: 1.25,
  p90Ms: 4,
  p99Ms: 12.3,
  p999Ms: 20,
  maxMs: 31,
};

const facts: DemoFacts = {
  seed: 'test',
  log: 'kafka',
  logReason: undefined,
  opening: { warehouses: 4, products: 2_010, cells: 7_971, units: 119_959 },
  item: { skuId: 'FLASH-1', name: 'A CUP', units: 1_000 },
  shoppers: 20_000,
  waitingRoom: { waited: 0, longestMs: 0 },
  lateShoppers: 0,
  sale,
  replays: 200,
  ledger: {
    granted: 1_000,
    sold: 1_000,
    held: 0,
    expiredHolds: 100,
    expiredUnits: 110,
    releasedHolds: 60,
  },
  orders: {
    carts: 423,
    replayed: 423,
    reserved: 400,
    refused: 23,
    committed: 400,
    unitsCommitted: 82_482,
    released: 1,
    cancelled: 8,
    returned: 88,
    corrected: 45,
    skipped: 23,
    failed: 0,
    failures: [],
    committedIds: ['order-1'],
    invoicedAtMs: 0,
  },
  invoices: { ...emptySummary(), invoices: 512, lines: 10_000 },
  audit,
  latencies: { reserve: latency, commit: latency },
  lostRequests: 0,
  requestsPerSMax: 6_812.4,
  cpuS: { engine: 5.123, load_generator: 4, redis: 1 },
  durationsMs: { selling: 20_123 },
  environment: { node: 'v20', cpus: 2 },
};

const withSale = (changed: Partial<SaleTally>): DemoFacts => ({
  ...facts,
  sale: { ...sale, ...changed },
});
const withLedger = (changed: Partial<DemoFacts['ledger']>): DemoFacts => ({
  ...facts,
  ledger: { ...facts.ledger, ...changed },
});

describe('reportOf', () => {
  it('says what was sold, and that nothing differs', () => {
    const report = reportOf(facts);
    expect(report).toMatchObject({ ok: true, problems: [], log: 'kafka', log_reason: null });
    expect(report.sale).toMatchObject({
      units: 1_000,
      sold: 1_000,
      sold_in_ledger: 1_000,
      oversold: 0,
      unsold: 0,
      rejected: 23_800,
      expired: 100,
      duplicates: 2_000,
      requests: 26_160,
    });
    expect(report.sale.shoppers_who.gave_up).toBe(900);
    expect(report.orders).toMatchObject({ invoices: 512, replayed: 423, units_committed: 82_482 });
    expect(report.orders).not.toHaveProperty('committedIds');
    expect(report.audit).toMatchObject({ differences: 0, position: '4294967297-3148' });
    expect(report.latency_ms.reserve).toMatchObject({ p50: 1.25, p99: 12.3 });
    expect(report.durations_s).toEqual({ selling: 20.12 });
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  it.each([
    [
      'more acknowledged than there were',
      withSale({ unitsBought: 1_001 }),
      /1 units were oversold/,
    ],
    ['more in the ledger than there were', withLedger({ sold: 1_002 }), /2 units were oversold/],
    ['live holds beyond what is left', withLedger({ held: 5 }), /5 units were oversold/],
    ['an acknowledged sale that is not there', withLedger({ sold: 999 }), /1000 .*has 999/],
    ['a sale that nobody was told of', withSale({ unitsBought: 999 }), /999 .*has 1000/],
    ['units that were not received once', withLedger({ granted: 2_000 }), /the ledger has 2000/],
    ['a contradiction', withSale({ violations: ['one key, two ids'] }), /one key, two ids/],
    [
      'an answer that nobody expects',
      withSale({ outcomes: { ...sale.outcomes, refused: 1 }, refusals: { internal_error: 1 } }),
      /internal_error/,
    ],
    [
      'a difference',
      { ...facts, audit: { ...audit, ok: false, difference_count: 2 } },
      /found 2 differences/,
    ],
    [
      'another SKU oversold',
      { ...facts, audit: { ...audit, units: { ...audit.units, oversold: 3 } } },
      /3 units of all SKUs/,
    ],
    [
      'a step of an order that failed',
      { ...facts, orders: { ...facts.orders, failed: 1, failures: ['commit of 1'] } },
      /1 steps of orders failed: commit of 1/,
    ],
  ] as const)('is not ok with %s', (_, wrong, problem) => {
    const report = reportOf(wrong);
    expect(report.ok).toBe(false);
    expect(report.problems.join('\n')).toMatch(problem);
    expect(tellReport(report, false)).toMatch(problem);
    expect(tellReport(report, false)).toContain('NOT RIGHT');
  });

  it('lets a shopper who was left without an answer have bought', () => {
    const unresolved = withSale({
      unitsBought: 999,
      outcomes: { ...sale.outcomes, unresolved: 1 },
    });
    expect(reportOf(unresolved).ok).toBe(true);
  });
});

describe('tellReport', () => {
  it('is plain words', () => {
    const words = tellReport(reportOf(facts), false);
    expect(words).toContain('Sold 1,000 of 1,000, oversold 0.');
    expect(words).toContain('Redis = PostgreSQL at position 4294967297-3148.');
    expect(words).toContain('Redis, Kafka and PostgreSQL agree: 7,971 cells');
    expect(words).not.toContain('\u001b');
    expect(tellReport(reportOf(facts), true)).toContain('\u001b[32m');
  });
});

describe('tellTryIt', () => {
  const all = {
    url: 'http://127.0.0.1:7070',
    saleSku: 'FLASH-1',
    sku: '85123A',
    warehouseId: 'nl-venlo',
    reservationId: 'order-1',
    stackDirectory: '.stack/demo',
  };

  it('names what there is in this run', () => {
    const lines = tellTryIt(all);
    expect(lines).toContain('curl -s http://127.0.0.1:7070/api/v1/inventory/85123A/availability');
    expect(lines).toContain(`-d '[{"sku_id":"85123A","warehouse_id":"nl-venlo","quantity":1}]'`);
    expect(lines).toContain('/reservations/order-1');
    expect(lines).toContain('stack env --dir .stack/demo');
  });

  it('leaves out what there is not, and quotes for the shell', () => {
    const lines = tellTryIt({
      ...all,
      sku: undefined,
      warehouseId: undefined,
      reservationId: undefined,
      stackDirectory: "it's here",
    });
    expect(lines).not.toContain('undefined');
    expect(lines).toContain(`--dir 'it'\\''s here'`);
  });
});

describe('addTallies', () => {
  it('sums all counts', () => {
    const late = { ...sale, refusals: { x: 1 }, violations: ['v'] };
    const sum = addTallies(sale, late, late);
    expect(sum.unitsBought).toBe(3_000);
    expect(sum.answers.sold_out).toBe(3 * 23_800);
    expect(sum.refusals).toEqual({ x: 2 });
    expect(sum.violations).toEqual(['v', 'v']);
    expect(addTallies(sale)).toEqual(sale);
  });
});
