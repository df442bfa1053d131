import { describe, expect, it } from 'vitest';
import { layOut, oneLine } from './frame.ts';
import { render } from './ink.ts';
import { lagEntries, type View } from './view.ts';

const latency = { p50Ms: 1.5, p99Ms: 12.3 };

const waiting: View = {
  phase: 'stocking the shop: 1 of 2 requests',
  elapsedMs: 4_200,
  log: 'embedded',
  sale: {
    skuId: 'FLASH-1',
    name: 'A CUP',
    units: 1_000,
    shoppers: 20_000,
    balances: undefined,
    soldOutAnswers: 0,
    duplicates: 0,
    through: 0,
    waiting: 0,
  },
  orders: undefined,
  traffic: { requestsPerS: 0, history: [], reserve: undefined, commit: undefined },
  lane: undefined,
  persisted: undefined,
  rows: undefined,
};

const selling: View = {
  ...waiting,
  phase: 'real orders and a flash sale',
  log: 'kafka',
  sale: {
    ...waiting.sale,
    balances: { available: 174, reserved: 214, allocated: 612 },
    soldOutAnswers: 8_112,
    through: 9_120,
  },
  orders: {
    carts: 423,
    replayed: 214,
    reserved: 203,
    refused: 11,
    committed: 201,
    unitsCommitted: 9_000,
    released: 1,
    cancelled: 4,
    returned: 33,
    corrected: 12,
    skipped: 11,
    failed: 0,
    failures: [],
    committedIds: [],
    invoicedAtMs: Date.UTC(2010, 11, 3, 14, 12),
  },
  traffic: {
    requestsPerS: 6_812,
    history: [1_000, 6_812],
    reserve: latency,
    commit: latency,
  },
  lane: { epoch: 7, seq: 8_123 },
  persisted: { epoch: 7, seq: 8_100 },
  rows: { reservations: 3_123, movements: 12_345, held: 214, committed: 800, expired: 40 },
};

const text = (view: View, columns: number): string[] =>
  layOut(view, columns).map((line) => render(line, columns, false));

describe('layOut', () => {
  it('says all that matters', () => {
    const frame = text(selling, 100).join('\n');
    for (const said of [
      'Redis > Kafka > PostgreSQL   4 s',
      '1,000 units of FLASH-1, 20,000 shoppers',
      '612 sold   214 held in carts   174 free   0 oversold',
      '9,120 shoppers are through, 0 wait at the door; 8,112 times "sold out"',
      '214 of 423 carts  2010-12-03 14:12',
      '201 paid   11 refused   38 released, cancelled or returned',
      '6,812 requests/s',
      'p50 1.50 ms',
      'p99 12.3 ms',
      'Redis at 8123, PostgreSQL at 8100: 23 entries behind',
      '3,123 reservations (214 held, 800 committed, 40 expired), 12,345 movements',
    ]) {
      expect(frame).toContain(said);
    }
  });

  it('begins before there is anything to see', () => {
    const frame = text(waiting, 100).join('\n');
    expect(frame).toContain('stocking the shop: 1 of 2 requests');
    expect(frame).toContain('the doors are still closed');
  });

  it.each([40, 80, 100, 200])('fits into %i columns, always in as many lines', (columns) => {
    const [before, after] = [text(waiting, columns), text(selling, columns)];
    for (const line of [...before, ...after]) expect(line.length).toBeLessThanOrEqual(columns);
    expect(after.length).toBeGreaterThanOrEqual(before.length);
  });

  it('shows an oversell and a failure in the open', () => {
    const { orders } = selling;
    const wrong: View = {
      ...selling,
      sale: { ...selling.sale, balances: { available: 0, reserved: 2, allocated: 1_000 } },
      ...(orders === undefined ? {} : { orders: { ...orders, failed: 3 } }),
    };
    const frame = text(wrong, 100).join('\n');
    expect(frame).toContain('2 oversold');
    expect(frame).toContain('3 FAILED');
  });
});

describe('oneLine', () => {
  it('tells the same to a log file', () => {
    expect(oneLine(selling)).toBe(
      '  4 s  real orders and a flash sale | 612 sold, 214 held, 174 free, 8,112 sold-out answers | ' +
        'orders 214/423, 11 refused | 6,812 req/s, reserve p50 1.50 ms p99 12.3 ms | log lag 23 | ' +
        '12,345 movements in PostgreSQL',
    );
    expect(oneLine(waiting)).toBe('  4 s  stocking the shop: 1 of 2 requests | 0 req/s');
  });
});

describe('lagEntries', () => {
  it('compares positions of one epoch only', () => {
    const lane = { epoch: 7, seq: 10 };
    expect(lagEntries({ lane, persisted: { epoch: 7, seq: 8 } })).toBe(2);
    expect(lagEntries({ lane, persisted: { epoch: 7, seq: 11 } })).toBe(0);
    expect(lagEntries({ lane, persisted: { epoch: 6, seq: 99 } })).toBeUndefined();
    expect(lagEntries({ lane: undefined, persisted: lane })).toBeUndefined();
  });
});
