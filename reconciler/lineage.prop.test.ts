/**
 * traceLineage against a direct port of `lineage` in the model of the protocol, over streams as the
 * protocol leaves them (lost tails, forks, trims, half-done scripts, recoveries that died, a
 * PostgreSQL that went back), and over streams that no protocol wrote.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EntryKey, NEVER } from '../engine/events/entry.ts';
import { comparePlaces, isSameEntry } from '../engine/log/place.ts';
import {
  type Lineage,
  type LineageSource,
  type Link,
  STREAM_START,
  traceLineage,
} from './lineage.ts';

interface Redis {
  readonly last: EntryKey;
  readonly stream: readonly Link[];
}

interface World {
  readonly nodes: readonly [Redis, Redis];
  /** Applied entries in order; the last is PostgreSQL's position. */
  readonly applied: readonly EntryKey[];
  /** An older PostgreSQL, which may be promoted. */
  readonly standby: readonly EntryKey[];
  readonly epoch: number;
  readonly nonce: number;
}

const text = (key: EntryKey) => `${key.epoch}-${key.seq}-${key.nonce.toString('hex')}`;
const top = (redis: Redis) => redis.stream.at(-1)?.key ?? redis.last;
const positionOf = (applied: readonly EntryKey[]) => applied.at(-1) ?? NEVER;

function keyOf(epoch: number, seq: number, nonce: number): EntryKey {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(nonce, 4);
  return { epoch, seq, nonce: bytes };
}

/** The model's function, line by line. */
function modelLineage(
  redis: Redis,
  applied: readonly EntryKey[],
): { verdict: 'tail' | 'fork' | 'behind'; tail: readonly Link[] } {
  const by = new Map(redis.stream.map((link) => [text(link.key), link]));
  const ids = new Set([NEVER, ...applied].map(text));
  const position = positionOf(applied);
  const chain: Link[] = [];
  let current = top(redis);
  for (let link = by.get(text(current)); link !== undefined; link = by.get(text(current))) {
    chain.push(link);
    current = link.predecessor;
  }
  chain.reverse();
  if (isSameEntry(position, current)) return { verdict: 'tail', tail: chain };
  const at = chain.findIndex((link) => isSameEntry(link.key, position));
  if (at >= 0) return { verdict: 'tail', tail: chain.slice(at + 1) };
  if (ids.has(text(top(redis)))) return { verdict: 'tail', tail: [] };
  return { verdict: ids.has(text(current)) ? 'fork' : 'behind', tail: [] };
}

function sourceOf(redis: Redis, applied: readonly EntryKey[], piece: number): LineageSource {
  const ids = new Set([NEVER, ...applied].map(text));
  return {
    last: redis.last,
    halfDone: comparePlaces(top(redis), redis.last) > 0,
    isApplied: async (key) => ids.has(text(key)),
    linksAfter: async (place) =>
      redis.stream.filter((link) => comparePlaces(link.key, place) > 0).slice(0, piece),
  };
}

/** The entries that recovery would relay. */
function relayed(redis: Redis, found: Lineage): readonly string[] {
  if (found.kind !== 'tail') return [];
  return redis.stream
    .filter((link) => comparePlaces(link.key, found.after) > 0)
    .map((link) => text(link.key));
}

async function compareWithModel(redis: Redis, applied: readonly EntryKey[], piece: number) {
  const expected = modelLineage(redis, applied);
  const found = await traceLineage(sourceOf(redis, applied, piece), positionOf(applied));
  expect(found.kind === 'nothing' ? 'tail' : found.kind).toBe(expected.verdict);
  const tail = relayed(redis, found);
  expect(tail).toEqual(expected.tail.map((link) => text(link.key)));
  if (found.kind === 'tail') {
    expect(found.count).toBe(tail.length);
    expect(text(found.head)).toBe(tail.at(-1));
  }
}

// ------------------------------------------------------------------ what may happen to a lane

const OPERATIONS = [
  'write',
  'die_half_way',
  'apply',
  'replicate',
  'promote',
  'lose_all',
  'trim',
  'recover',
  'recover_and_die',
  'standby_catches_up',
  'promote_standby',
] as const;
type Operation = (typeof OPERATIONS)[number];

/** Ordinary life is more frequent than faults, or no stream would ever grow long. */
const walk = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom<Operation>('write', 'apply', 'recover') },
    { weight: 1, arbitrary: fc.constantFrom<Operation>(...OPERATIONS) },
  ),
  { minLength: 20, maxLength: 80 },
);

function append(redis: Redis, key: EntryKey, predecessor: EntryKey): Redis {
  return { last: key, stream: [...redis.stream, { key, predecessor }] };
}

function apply(world: World, operation: Operation): World {
  const [primary, replica] = world.nodes;
  const { applied, nonce } = world;
  const fresh = { ...world, nonce: nonce + 1 };
  const next = keyOf(primary.last.epoch, primary.last.seq + 1, nonce);
  // A half-done script fences the lane; so does an epoch of nothing.
  const writes = primary.last.epoch > 0 && isSameEntry(top(primary), primary.last);
  switch (operation) {
    case 'write':
      return writes ? { ...fresh, nodes: [append(primary, next, primary.last), replica] } : world;
    case 'die_half_way': {
      if (!writes) return world;
      const { stream } = append(primary, next, primary.last);
      return { ...fresh, nodes: [{ ...primary, stream }, replica] };
    }
    case 'apply': {
      const link = primary.stream.find((x) => isSameEntry(x.predecessor, positionOf(applied)));
      return link === undefined ? world : { ...world, applied: [...applied, link.key] };
    }
    case 'replicate':
      return { ...world, nodes: [primary, primary] };
    case 'promote':
      return { ...world, nodes: [replica, primary] };
    case 'lose_all':
      return { ...world, nodes: [{ last: NEVER, stream: [] }, replica] };
    case 'trim': {
      // Never the last entry, nor by a position of a later epoch.
      const position = positionOf(applied);
      if (!writes || position.epoch > primary.last.epoch) return world;
      const stream = primary.stream.filter(
        (link, i) => comparePlaces(link.key, position) > 0 || i === primary.stream.length - 1,
      );
      return { ...world, nodes: [{ ...primary, stream }, replica] };
    }
    case 'standby_catches_up':
      return { ...world, standby: applied };
    case 'promote_standby':
      return { ...world, applied: world.standby };
    case 'recover':
    case 'recover_and_die':
      return recover(world, operation === 'recover_and_die');
  }
}

function recover(world: World, dies: boolean): World {
  const [primary, replica] = world.nodes;
  const { verdict, tail } = modelLineage(primary, world.applied);
  if (verdict === 'behind') return world;
  const applied = [...world.applied, ...tail.map((link) => link.key)];
  const stream = verdict === 'fork' ? [] : primary.stream;
  const epoch = world.epoch + 1;
  const copied: Redis = { last: NEVER, stream };
  if (dies) return { ...world, applied, epoch, nodes: [copied, replica] };
  const opened = append(copied, keyOf(epoch, 1, world.nonce), positionOf(applied));
  return { ...world, applied, epoch, nonce: world.nonce + 1, nodes: [opened, replica] };
}

const EMPTY: Redis = { last: NEVER, stream: [] };
const START: World = { nodes: [EMPTY, EMPTY], applied: [], standby: [], epoch: 0, nonce: 1 };

describe('traceLineage', () => {
  it('says what the model says, after anything that the protocol may go through', async () => {
    await fc.assert(
      fc.asyncProperty(walk, fc.integer({ min: 1, max: 7 }), async (operations, piece) => {
        let world = START;
        for (const operation of operations) {
          world = apply(world, operation);
          for (const node of world.nodes) await compareWithModel(node, world.applied, piece);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('says every verdict in such walks, so that the comparison is not an empty one', () => {
    const seen = new Set<string>();
    const walks = fc.sample(walk, { numRuns: 400, seed: 7 });
    for (const operations of walks) {
      let world = START;
      for (const operation of operations) {
        world = apply(world, operation);
        for (const node of world.nodes) {
          const { verdict, tail } = modelLineage(node, world.applied);
          seen.add(verdict === 'tail' && tail.length === 0 ? 'nothing' : verdict);
        }
      }
    }
    expect([...seen].sort()).toEqual(['behind', 'fork', 'nothing', 'tail']);
  });

  it('relays nothing of a stream that no protocol wrote unless the model would', async () => {
    const place = fc.record({
      epoch: fc.integer({ min: 1, max: 3 }),
      seq: fc.integer({ min: 1, max: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(place, { selector: (x) => `${x.epoch}-${x.seq}`, maxLength: 12 }),
        fc.infiniteStream(fc.nat()),
        fc.integer({ min: 1, max: 4 }),
        async (places, random, piece) => {
          const pick = (below: number) => (random.next().value ?? 0) % below;
          const ordered = places.toSorted(comparePlaces);
          const keys = ordered.map((x) => keyOf(x.epoch, x.seq, pick(2)));
          const stream = keys.map((key, i) => {
            const earlier = [NEVER, keyOf(key.epoch, key.seq - 1, pick(3)), ...keys.slice(0, i)];
            return { key, predecessor: earlier[pick(earlier.length)] ?? NEVER };
          });
          const applied = keys.slice(0, pick(keys.length + 1)).filter(() => pick(3) > 0);
          const redis = { last: keys.at(-1) ?? NEVER, stream };
          const found = await traceLineage(sourceOf(redis, applied, piece), positionOf(applied));
          const expected = modelLineage(redis, applied);
          if (found.kind === 'tail' || found.kind === 'nothing') {
            expect(relayed(redis, found)).toEqual(expected.tail.map((link) => text(link.key)));
            expect(expected.verdict).toBe('tail');
          }
        },
      ),
      { numRuns: 3_000 },
    );
  });
});

describe('memory', () => {
  it('asks for the stream in pieces and keeps none of them', async () => {
    const stream = Array.from({ length: 1_000 }, (_, i) => ({
      key: keyOf(1, i + 1, i + 1),
      predecessor: i === 0 ? NEVER : keyOf(1, i, i),
    }));
    const redis = { last: keyOf(1, 1_000, 1_000), stream };
    const source = sourceOf(redis, [keyOf(1, 990, 990)], 4);
    const asked: number[] = [];
    const counting: LineageSource = {
      ...source,
      linksAfter: (place) => {
        asked.push(place.seq);
        return source.linksAfter(place);
      },
    };
    const found = await traceLineage(counting, keyOf(1, 990, 990));
    expect(found).toMatchObject({ kind: 'tail', count: 10, after: { epoch: 1, seq: 990 } });
    // Only from PostgreSQL's position on, whatever stands before it.
    expect(asked).toEqual([989, 993, 997, 1_000]);
    expect(asked).not.toContain(STREAM_START.seq);
  });
});
