import { describe, expect, it } from 'vitest';
import { asReservation, asSku } from '../engine/domain/ids.ts';
import { type Change, type Entry, NEVER } from '../engine/events/entry.ts';
import { encodeEntry } from '../engine/events/entry-codec.ts';
import type { ConsumerPosition, LogRecord } from '../engine/log/event-log.ts';
import { consume } from './consume.ts';
import { at, nonceOf, SimulatedLane } from './testing/simulated-lane.ts';

const START: ConsumerPosition = { term: 3, ...NEVER, offset: 0n };

function opened(changes: readonly Change[] = [], more: Partial<Entry> = {}): Entry {
  const key = { epoch: 3, seq: 1, nonce: nonceOf(3, 1) };
  return { kind: 'opened', key, predecessor: NEVER, timeMs: 5, cells: [], changes, ...more };
}

function record(entry: Entry, offset = 0n, term = 3): LogRecord {
  return { term, offset, entry: encodeEntry(entry) };
}

describe('where reading stops', () => {
  it('at an offset that is not the next: what is missing might be a fence', () => {
    const { stop, records } = consume(START, [record(opened(), 1n)], 'kafka');
    expect(stop).toEqual({ kind: 'gap', reason: 'the log continues at offset 1, 0 is next' });
    expect(records).toBe(0);
  });

  it('at an entry of another history, which names another predecessor', () => {
    const first = record(opened());
    const predecessor = { epoch: 3, seq: 1, nonce: nonceOf(3, 1, 7) };
    const key = { epoch: 3, seq: 2, nonce: nonceOf(3, 2) };
    const fork = record(opened([], { kind: 'tick', key, predecessor }));
    const { accepted, stop } = consume(START, [first, fork], 'stream');
    expect(accepted).toHaveLength(1);
    expect(stop?.reason).toBe('entry 3-2 follows 3-1, the position is 3-1');
  });

  it('at an entry that skips a number of its epoch', () => {
    const key = { epoch: 3, seq: 2, nonce: nonceOf(3, 2) };
    const { stop } = consume(START, [record(opened([], { key }))], 'stream');
    expect(stop).toEqual({ kind: 'gap', reason: 'entry 3-2 stands where 3-1 is due' });
  });

  it('but not at an undecodable record that is void', () => {
    const void_ = { term: 2, offset: 0n, entry: Buffer.from('x') };
    const consumed = consume(START, [void_, record(opened(), 1n)], 'kafka');
    expect(consumed).toMatchObject({ voided: 1, records: 2 });
    expect(consumed.stop).toBeUndefined();
  });
});

describe('an entry that cannot be read', () => {
  const reserved: Change = {
    type: 'reserved',
    id: asReservation('r1'),
    generation: 1,
    fingerprint: Buffer.alloc(8),
    deadlineS: 1,
    attributes: '',
    lines: [{ line: 0, requested: 1, placements: [{ cell: 0, quantity: 1 }] }],
  };

  it.each([
    ['bytes of no format', Buffer.from([9, 1, 2])],
    ['bytes that end early', encodeEntry(opened()).subarray(0, 30)],
    ['bytes that go on', Buffer.concat([encodeEntry(opened()), Buffer.from([0])])],
    ['a cell that is not there', encodeEntry(opened([reserved]))],
    ['a time beyond the calendar', encodeEntry(opened([], { timeMs: 2 ** 52 }))],
    [
      'an id that no request can bring',
      encodeEntry(opened([{ ...reserved, id: asReservation('a b'), lines: [] }])),
    ],
    [
      'a SKU with a zero byte',
      encodeEntry(opened([{ type: 'product_defined', sku: asSku('a\0') }])),
    ],
    [
      'a cell without a warehouse',
      encodeEntry(
        opened([], {
          cells: [
            { sku: asSku('a'), field: at(''), available: 0, reserved: 0, allocated: 0, version: 1 },
          ],
        }),
      ),
    ],
  ])('%s: stops, and says which', (_, entry) => {
    const { stop, accepted } = consume(START, [{ term: 3, offset: 0n, entry }], 'kafka');
    expect(accepted).toEqual([]);
    expect(stop?.kind).toBe('undecodable');
    expect(stop?.reason).toMatch(/^the entry at offset 0 cannot be read: ./);
  });
});

it('a fence raises the term, and what follows under the old one is void', () => {
  const lane = new SimulatedLane();
  const first = record(lane.open(3));
  const late = record(lane.tick(), 2n);
  const { accepted, position, voided } = consume(
    START,
    [first, { term: 4, offset: 1n }, late],
    'kafka',
  );
  expect(accepted).toHaveLength(1);
  expect(voided).toBe(1);
  expect(position).toMatchObject({ term: 4, epoch: 3, seq: 1, offset: 3n });
});

it('the tail of an old epoch is accepted under a new term', () => {
  const lane = new SimulatedLane();
  const records = [record(lane.open(3)), record(lane.tick(), 1n, 9), record(lane.open(9), 2n, 9)];
  const { accepted, position } = consume(START, records, 'kafka');
  expect(accepted.map(({ key }) => `${key.epoch}-${key.seq}`)).toEqual(['3-1', '3-2', '9-1']);
  expect(position).toMatchObject({ term: 9, epoch: 9, seq: 1, offset: 3n });
});
