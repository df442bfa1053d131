import { describe, expect, it } from 'vitest';
import { asSku, cellField } from '../../domain/ids.ts';
import type { HeldRecord, ReservationRecord } from '../../domain/reservation.ts';
import type { CartLine } from '../../reservations/cart.ts';
import { outcomeProblem } from '../outcome-problem.ts';
import { problem } from '../problem.ts';
import { compileBody } from '../schema.ts';
import { problemAnswer, reservationAnswer } from '../schema-answers.ts';
import { createInsufficientBodies, createInsufficientWriter } from './insufficient-json.ts';
import { createReservationBodies, createReservationWriter } from './reservation-json.ts';

const STAMP = { epoch: 4_294_967_297, seq: 9, timeMs: 1_800_000_000_250, offsetMs: 60_000 };
const LINE = {
  line: 0,
  sku: asSku('MUG'),
  requested: 5,
  placements: [
    { field: cellField('LON'), quantity: 2 },
    { field: cellField('7', 'web'), quantity: 1 },
  ],
};
const HELD: HeldRecord = {
  state: 'held',
  fingerprint: Buffer.alloc(8),
  version: 2,
  createdS: 1_800_000_000,
  deadlineS: 1_800_000_601,
  lines: [LINE, { line: 2, sku: asSku('CUP'), requested: 1, placements: [] }],
  operations: [],
};

const write = createReservationWriter();
const isReservation = compileBody(reservationAnswer);

function written(record: ReservationRecord, asked?: readonly CartLine[]): unknown {
  const value = JSON.parse(write('order-1', record, STAMP, 'memory', asked));
  expect(isReservation(value)).toHaveProperty('body');
  return value;
}

describe('a reservation as JSON', () => {
  it('shows a hold with its deadline in wall time', () => {
    expect(written(HELD)).toEqual({
      reservation_id: 'order-1',
      status: 'held',
      epoch: STAMP.epoch,
      durability: 'memory',
      version: 2,
      // Lane time is a minute ahead of the clock.
      expires_at: new Date(1_800_000_601_000 - 60_000).toISOString(),
      ttl_seconds: 600,
      lines: [
        {
          line: 0,
          sku_id: 'MUG',
          requested: 5,
          reserved: 3,
          placements: [
            { warehouse_id: 'LON', quantity: 2 },
            { warehouse_id: '7', quantity: 1, pool: 'web' },
          ],
        },
        { line: 2, sku_id: 'CUP', requested: 1, reserved: 0, placements: [] },
      ],
    });
  });

  it('never shows a negative time to live', () => {
    expect(written({ ...HELD, deadlineS: 1_700_000_000 })).toMatchObject({ ttl_seconds: 0 });
  });

  it('does not mix up deadlines that it remembers', () => {
    const first = written(HELD);
    written({ ...HELD, deadlineS: HELD.deadlineS + 1 });
    expect(written(HELD)).toEqual(first);
  });

  it('shows what a committed one has allocated, without a deadline', () => {
    const { fingerprint, version, createdS, lines, operations } = HELD;
    const committed = { fingerprint, version, createdS, lines, operations };
    expect(written({ state: 'committed', commitFingerprint: 0, ...committed })).toMatchObject({
      status: 'committed',
      lines: [{ sku_id: 'MUG', allocated: 3 }, { sku_id: 'CUP' }],
    });
  });

  it('shows no lines of one that has ended', () => {
    const ended = { fingerprint: HELD.fingerprint, createdS: HELD.createdS };
    expect(written({ state: 'released', ...ended })).toEqual({
      reservation_id: 'order-1',
      status: 'released',
      epoch: STAMP.epoch,
      durability: 'memory',
      lines: [],
    });
  });

  it('tells of a partial reserve what each line lacks, also of a line that got nothing', () => {
    const asked: CartLine[] = [
      { sku: asSku('MUG'), quantity: 5, fields: [], item: 0 },
      { sku: asSku('HAT'), quantity: 4, fields: [], item: 1 },
    ];
    expect(written({ ...HELD, lines: [LINE] }, asked)).toMatchObject({
      lines: [
        { line: 0, sku_id: 'MUG', requested: 5, reserved: 3, missing: 2 },
        { line: 1, sku_id: 'HAT', requested: 4, reserved: 0, placements: [], missing: 4 },
      ],
    });
  });
});

describe('insufficient as JSON', () => {
  it('is the problem that the slow way would make', () => {
    const lines: CartLine[] = [
      { sku: asSku('MUG'), quantity: 5, fields: [], item: 0 },
      { sku: asSku('HAT'), quantity: 4, fields: [], item: 1 },
      { sku: asSku('CUP'), quantity: 1, fields: [], item: 2 },
    ];
    const shortages = [
      { line: 0, available: 3 },
      { line: 2, available: 0 },
    ];
    const json = createInsufficientWriter('https://api.example')('req-1', 'r1', lines, shortages);
    const value = JSON.parse(json);
    const extensions = {
      reservation_id: 'r1',
      lines: [
        { line: 0, sku_id: 'MUG', requested: 5, available: 3, missing: 2 },
        { line: 2, sku_id: 'CUP', requested: 1, available: 0, missing: 1 },
      ],
    };
    const detail = String(value.detail);
    const details = { detail, extensions };
    const base = 'https://api.example';
    expect(value).toEqual(problem(outcomeProblem('insufficient'), details, 'req-1', base));
    expect(compileBody(problemAnswer)(value)).toHaveProperty('body');
  });
});

const idOf = (nth: number): string => `hf_${String(nth).padStart(32, '0')}`;
const textOf = (body: string | Uint8Array): string => Buffer.from(body).toString();

it('a reservation beside others is what it is alone', () => {
  const bodyOf = createReservationBodies();
  const later = { ...STAMP, seq: 10 };
  const others: ReservationRecord[] = [
    HELD,
    { ...HELD, deadlineS: HELD.deadlineS + 5 },
    { ...HELD, version: 3 },
    { ...HELD, lines: [LINE] },
    { state: 'released', fingerprint: HELD.fingerprint, createdS: HELD.createdS },
  ];
  for (let nth = 0; nth < 120; nth += 1) {
    // Long runs of the same, and every change from one to another.
    const record = others[nth < 60 ? 0 : nth % others.length] ?? HELD;
    const stamp = nth % 20 < 15 ? STAMP : later;
    const level = nth % 30 < 25 ? 'memory' : 'logged';
    const body = bodyOf(record, stamp, level);
    expect(textOf(body.stamped('AAAAAA-00000', idOf(nth)))).toBe(
      write(idOf(nth), record, stamp, level),
    );
  }
});

it('a sold out that is known is what it is when the lane says it', () => {
  const writeOne = createInsufficientWriter('');
  const bodyOf = createInsufficientBodies('');
  const known = [{}, {}];
  for (let nth = 0; nth < 60; nth += 1) {
    const which = nth % 5 === 0 ? 1 : 0;
    const shortages = [{ line: 0, available: which }];
    const line: CartLine = { sku: asSku('MUG'), quantity: nth < 40 ? 2 : 3, fields: [], item: 0 };
    const requestId = `AAAAAA-${String(nth).padStart(5, '0')}`;
    const body = bodyOf(known[which] ?? {}, line, shortages);
    expect(textOf(body.stamped(requestId, idOf(nth)))).toBe(
      writeOne(requestId, idOf(nth), [line], shortages),
    );
  }
});
