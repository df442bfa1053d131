/** The consumer's rules against a second, naive reading of them, over logs that have everything in them. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Entry, type EntryKey, NEVER } from '../engine/events/entry.ts';
import { encodeEntry } from '../engine/events/entry-codec.ts';
import type { ConsumerPosition, LogRecord } from '../engine/log/event-log.ts';
import { consume } from './consume.ts';
import { nonceOf } from './testing/simulated-lane.ts';

/** A chain of entries, and entries of forks that leave it. */
interface History {
  readonly chain: readonly Entry[];
  readonly forks: readonly Entry[];
}

const history: fc.Arbitrary<History> = fc
  .record({
    epochs: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
    forkAt: fc.array(fc.nat({ max: 8 }), { maxLength: 3 }),
  })
  .map(({ epochs, forkAt }) => {
    const chain: Entry[] = [];
    epochs.forEach((length, i) => {
      for (let seq = 1; seq <= length; seq++) {
        const epoch = 2 * i + 1;
        const key = { epoch, seq, nonce: nonceOf(epoch, seq) };
        chain.push(entryOf(key, chain.at(-1)?.key ?? NEVER));
      }
    });
    const forks = forkAt.map((place) => {
      const origin = chain[place % chain.length];
      const { epoch, seq } = origin?.key ?? NEVER;
      const key = { epoch, seq: seq + 1, nonce: nonceOf(epoch, seq + 1, 9) };
      return entryOf(key, { epoch, seq, nonce: nonceOf(epoch, seq, 9) });
    });
    return { chain, forks };
  });

/** What a record is made of; indexes are taken modulo what there is. */
const plan = fc.record({
  term: fc.integer({ min: 0, max: 6 }),
  what: fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({ pick: fc.constant('next' as const), step: fc.constant(0) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ pick: fc.constant('chain' as const), step: fc.nat({ max: 9 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ pick: fc.constant('fork' as const), step: fc.nat({ max: 9 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ pick: fc.constant('fence' as const), step: fc.constant(0) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ pick: fc.constant('garbage' as const), step: fc.constant(0) }),
    },
  ),
});

const START: ConsumerPosition = { term: 0, ...NEVER, offset: 0n };

it('follows the rules of the model, record by record', () => {
  fc.assert(
    fc.property(history, fc.array(plan, { maxLength: 30 }), ({ chain, forks }, plans) => {
      const records = recordsOf(chain, forks, plans);
      const consumed = consume(START, records, 'kafka');
      const expected = naive(records, chain, forks);
      expect(consumed.accepted.map(({ key }) => key)).toEqual(expected.accepted);
      expect(consumed.stop?.kind).toBe(expected.stop);
      expect(consumed.records).toBe(expected.consumed);
      expect(consumed.position.term).toBe(expected.term);
      expect(consumed.position.offset).toBe(BigInt(expected.consumed));
      // What was accepted is a chain from the very first entry on.
      consumed.accepted.forEach(({ predecessor }, i) => {
        expect(predecessor).toEqual(i === 0 ? NEVER : consumed.accepted[i - 1]?.key);
      });
    }),
    { numRuns: 2_000 },
  );
});

it('does not care how the log is cut into reads', () => {
  fc.assert(
    fc.property(
      history,
      fc.array(plan, { maxLength: 30 }),
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 10 }),
      ({ chain, forks }, plans, sizes) => {
        const records = recordsOf(chain, forks, plans);
        const whole = consume(START, records, 'kafka');
        let position = START;
        const accepted: Entry[] = [];
        for (let i = 0, k = 0; i < records.length; k++) {
          const size = sizes[k % sizes.length] ?? 1;
          const part = consume(position, records.slice(i, i + size), 'kafka');
          accepted.push(...part.accepted);
          position = part.position;
          i += size;
          if (part.stop !== undefined) break;
        }
        expect(position).toEqual(whole.position);
        expect(accepted).toEqual(whole.accepted);
      },
    ),
    { numRuns: 500 },
  );
});

it('skips what it was given before: reading everything again changes nothing', () => {
  fc.assert(
    fc.property(history, fc.integer({ min: 1, max: 9 }), ({ chain }, term) => {
      const records = chain.map((entry) => ({ term, offset: 0n, entry: encodeEntry(entry) }));
      const once = consume({ ...START, term }, records, 'stream');
      const again = consume(once.position, records, 'stream');
      expect(once.accepted).toHaveLength(chain.length);
      expect(again).toMatchObject({
        accepted: [],
        repeated: chain.length,
        position: once.position,
      });
    }),
  );
});

function recordsOf(
  chain: readonly Entry[],
  forks: readonly Entry[],
  plans: readonly { term: number; what: { pick: string; step: number } }[],
): LogRecord[] {
  let next = 0;
  return plans.map(({ term, what }, i) => {
    const offset = BigInt(i);
    if (what.pick === 'fence') return { term, offset };
    if (what.pick === 'garbage') return { term, offset, entry: Buffer.from('not an entry') };
    const entry =
      what.pick === 'next'
        ? chain[next++ % chain.length]
        : what.pick === 'chain'
          ? chain[what.step % chain.length]
          : (forks[what.step % Math.max(1, forks.length)] ?? chain[0]);
    return entry === undefined ? { term, offset } : { term, offset, entry: encodeEntry(entry) };
  });
}

/** Knows the chain, so it needs no predecessors: what may be accepted is the chain's next entry. */
function naive(records: readonly LogRecord[], chain: readonly Entry[], forks: readonly Entry[]) {
  const accepted: EntryKey[] = [];
  let term = 0;
  let consumed = 0;
  for (const record of records) {
    if (record.term >= term) {
      const all = [...chain, ...forks];
      const entry = all.find((each) => record.entry?.equals(encodeEntry(each)));
      if (record.entry !== undefined && entry === undefined) {
        return { accepted, stop: 'undecodable', consumed, term };
      }
      const last = accepted.at(-1) ?? NEVER;
      if (entry !== undefined && isBehind(entry.key, last)) {
        if (entry !== chain[accepted.length]) return { accepted, stop: 'gap', consumed, term };
        accepted.push(entry.key);
      }
      term = Math.max(term, record.term);
    }
    consumed++;
  }
  return { accepted, stop: undefined, consumed, term };
}

function isBehind(a: EntryKey, b: EntryKey): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.seq > b.seq);
}

function entryOf(key: EntryKey, predecessor: EntryKey): Entry {
  return { kind: 'batch', key, predecessor, timeMs: 1, cells: [], changes: [] };
}
