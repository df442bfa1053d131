/**
 * No script does more than its bound, whatever comes together: reserves that stand in runs and others,
 * carts, ranked warehouses, SKUs in many warehouses, settlements of each kind, and all that is left
 * expires. Counted by the scripts themselves (lua/includes/cells.lua), so there is no clock in it.
 *
 * Only an operation that is more by itself may be beyond it, and is alone in its script then.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { digestId, packId } from '../domain/reservation-id.ts';
import { SCRIPT_WORK_MAX } from '../domain/script-limits.ts';
import { ByteReader } from '../events/bytes.ts';
import type { Operation, SettleOperation } from './operation.ts';
import { isFenced, readStamp } from './operation-codec.ts';
import { scriptDigest } from './script.ts';
import { reserve, settle, startTestLane, type TestLane } from './testing/test-lane.ts';

const SEED = Number(process.env.HOLDFAST_TEST_SEED ?? Math.trunc(Math.random() * 2 ** 31));
const RUNS = process.env.HOLDFAST_TEST_LONG === '1' ? 40 : 6;
const SKUS = 400;
const WIDE_SKUS = 6;
const WIDE_CELLS = 650;
const PLENTY = 1_000_000;
/** Units of a line that names no warehouse, which has one to three in each. */
const SPLIT_MAX = 3;
/** So many cells more than one, each to be read and taken from, were not foreseen. */
const UNFORESEEN = 2 * (SPLIT_MAX - 1);
const SLICE = 60;

interface Ran {
  readonly script: string;
  readonly seq: number;
  readonly work: number;
}

const NOT_FRESH: ReadonlySet<Wish['kind']> = new Set(['keyed', 'known']);
let keys = 0;
const nextKey = (): Buffer => packId(digestId('ik_', 'work', String(keys++)));

let t: TestLane;
const ran: Ran[] = [];

beforeAll(async () => {
  t = await startTestLane();
  watchScripts();
  const cells = Array.from({ length: SKUS }, (_, i) => [`S${i}@A`, `S${i}@B`]).flat();
  await t.receive(Object.fromEntries(cells.map((cell) => [cell, PLENTY])));
  for (let sku = 0; sku < WIDE_SKUS; sku++) {
    const places = Array.from({ length: WIDE_CELLS }, (_, i) => [`W${sku}@C${i}`, 1 + (i % 3)]);
    await t.receive(Object.fromEntries(places));
  }
});
afterAll(() => t.stop());

/** Keeps what each script of the lane says of its work. */
function watchScripts(): void {
  const names = new Map(
    (['submit', 'settle', 'expire'] as const).map((name) => [scriptDigest(name), name]),
  );
  const send = t.redis.callBuffer.bind(t.redis);
  t.redis.callBuffer = async (...args: unknown[]) => {
    const reply: unknown = await Reflect.apply(send, t.redis, args);
    const script = names.get(String(args[1]));
    if (script === undefined || !Buffer.isBuffer(reply)) return reply;
    const stamp = readStamp(new ByteReader(reply));
    if (isFenced(stamp)) throw new Error('the lane is closed');
    const work =
      script === 'expire'
        ? reply.readUInt32BE(reply.length - 4)
        : reply.readUInt16BE(reply.length - 2);
    ran.push({ script, seq: stamp.seq, work });
    return reply;
  };
}

interface Wish {
  readonly kind: 'run' | 'keyed' | 'known' | 'ranked' | 'cart' | 'wide' | 'wide cart';
  readonly from: number;
  readonly lines: number;
  readonly next: 'commit' | 'named' | 'release' | 'extend' | 'inspect' | 'nothing';
}

const wish: fc.Arbitrary<Wish> = fc.record({
  kind: fc.constantFrom('run', 'keyed', 'keyed', 'known', 'ranked', 'cart', 'wide', 'wide cart'),
  from: fc.integer({ min: 0, max: SKUS - 1 }),
  lines: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 2, max: 20 }) }, fc.constant(300)),
  next: fc.constantFrom('commit', 'named', 'release', 'extend', 'inspect', 'nothing'),
});

function linesOf({ kind, from, lines }: Wish): Record<string, number> {
  const skus = Array.from({ length: lines }, (_, i) => `S${(from + i) % SKUS}`);
  const wide = Array.from({ length: lines }, (_, i) => `W${(from + i) % WIDE_SKUS}`);
  const all = (names: readonly string[], units: number) =>
    Object.fromEntries(names.map((name) => [name, units]));
  switch (kind) {
    case 'run':
    case 'keyed':
    case 'known':
      return all([`S${from}@A`], 1);
    case 'ranked':
      return all([`S${from}@A,B`], 2);
    case 'cart':
      return all(
        skus.map((sku) => `${sku}@A`),
        1,
      );
    case 'wide':
      return all(wide.slice(0, 1), SPLIT_MAX);
    case 'wide cart':
      return all(wide, 1);
  }
}

function settlementOf(each: Wish, id: Buffer): Operation | undefined {
  const lines = Object.entries(linesOf(each)).map(([at, units]) => [at.split('@')[0], units]);
  const named: SettleOperation = settle('commit', id, Object.fromEntries(lines), {
    commitFingerprint: 5,
  });
  switch (each.next) {
    case 'nothing':
      return undefined;
    case 'named':
      return named;
    case 'extend':
      return { kind: 'extend', id, ttlS: 900 };
    case 'inspect':
      return { kind: 'inspect', id };
    default:
      return settle(each.next, id);
  }
}

/** The changes of each entry, by its place: as many operations were decided there, that changed something. */
async function changesBySeq(): Promise<ReadonlyMap<number, number>> {
  const entries = await t.entries();
  return new Map(entries.map(({ key, changes }) => [key.seq, changes.length]));
}

it(`no script does more than its bound (seed ${SEED})`, async () => {
  const mixes = fc.array(wish, { minLength: 60, maxLength: 250 });
  await fc.assert(
    fc.asyncProperty(mixes, async (wishes) => {
      ran.length = 0;
      const held = wishes.map((each) => ({
        each,
        id: each.kind === 'keyed' ? nextKey() : t.ids.make(t.lane.nowMs(), 0),
      }));
      const made = await Promise.all(
        held.map(({ each, id }) =>
          t.submit(reserve(id, linesOf(each), { fresh: !NOT_FRESH.has(each.kind) })),
        ),
      );
      for (const { outcome } of made) expect(['created', 'insufficient']).toContain(outcome);
      const settlements = held.flatMap(({ each, id }, i) => {
        const operation = made[i]?.outcome === 'created' && settlementOf(each, id);
        return operation ? [operation] : [];
      });
      for (const { outcome } of await Promise.all(settlements.map((each) => t.submit(each)))) {
        expect(['committed', 'released', 'extended', 'exists']).toContain(outcome);
      }
      await t.passSeconds(1_000);
      for (let isMore = true; isMore; ) {
        const slice = await t.lane.expire(SLICE);
        isMore = slice.outcome === 'expired' && slice.more;
      }
      const changes = await changesBySeq();
      const beyond = ran.filter(({ script, seq, work }) => {
        const bound = script === 'expire' ? SLICE : SCRIPT_WORK_MAX + UNFORESEEN;
        return work > bound && changes.get(seq) !== 1;
      });
      expect(beyond).toEqual([]);
      await t.redis.xtrim('hf:{0}:log', 'MAXLEN', 1);
    }),
    // To shrink hundreds of wishes takes minutes, and says little more.
    { seed: SEED, numRuns: RUNS, endOnFailure: true },
  );
});
