/** A reservation that is answered with bytes kept from another must be shown as if it were alone. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { DurabilityLevel } from '../../domain/durability.ts';
import { asSku, cellField } from '../../domain/ids.ts';
import type { ReservationLine, ReservationRecord } from '../../domain/reservation.ts';
import { isTombstone } from '../../domain/reservation.ts';
import type { LaneStamp } from '../../redis/operation.ts';
import { createReservationBodies, createReservationWriter } from './reservation-json.ts';

const seed = Number(process.env.HOLDFAST_TEST_SEED ?? Math.trunc(Math.random() * 2 ** 31));
console.info(`seed ${seed} (HOLDFAST_TEST_SEED=${seed} repeats it)`);

/** Few values of each, so that records are mostly alike but for one thing. */
const two = <T>(a: T, b: T) => fc.constantFrom(a, a, a, b);
const placement = fc.record({ field: two(cellField('A'), cellField('B')), quantity: two(1, 2) });
const line: fc.Arbitrary<ReservationLine> = fc.record({
  line: two(0, 1),
  sku: fc.constantFrom(asSku('X'), asSku('Y')),
  requested: two(1, 2),
  placements: fc.oneof(
    { weight: 4, arbitrary: fc.tuple(placement) },
    { weight: 1, arbitrary: fc.array(placement, { maxLength: 2 }) },
  ),
});
const lines = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(line) },
  { weight: 1, arbitrary: fc.array(line, { maxLength: 2 }) },
);
const version = two(2, 3);
const rest = { fingerprint: Buffer.alloc(8), createdS: 1_800_000_000, operations: [] };
const record: fc.Arbitrary<ReservationRecord> = fc.oneof(
  fc.record({ version, lines, deadlineS: two(1_800_000_600, 1_800_000_601) }).map((own) => {
    return { state: 'held' as const, ...rest, ...own };
  }),
  fc.record({ version, lines }).map((own) => {
    return { state: 'committed' as const, commitFingerprint: 0, ...rest, ...own };
  }),
  fc.constantFrom('released' as const, 'expired' as const).map((state) => ({ state, ...rest })),
  fc.constant({
    ...{ state: 'closed' as const, commitFingerprint: 0, closedBy: 'ship' as const },
    ...rest,
  }),
);
const STAMPS = [
  { epoch: 7, seq: 9, timeMs: 1_800_000_000_250, offsetMs: 0 },
  { epoch: 7, seq: 9, timeMs: 1_800_000_000_250, offsetMs: 60_000 },
  { epoch: 8, seq: 1, timeMs: 1_800_000_001_250, offsetMs: 0 },
] as const;
interface Answer {
  readonly record: ReservationRecord;
  readonly stamp: LaneStamp;
  readonly level: DurabilityLevel;
}
const answer: fc.Arbitrary<Answer> = fc.record({
  record,
  stamp: fc.constantFrom(...STAMPS),
  level: two('memory' as const, 'logged' as const),
});
/** Some that are alike but for little, in any order, again and again. */
const answers = fc
  .tuple(
    fc.array(answer, { minLength: 2, maxLength: 8, size: 'max' }),
    fc.array(fc.nat(), { minLength: 40, maxLength: 40 }),
  )
  .map(([few, order]) => order.flatMap((nth) => few[nth % few.length] ?? []));
const idOf = (nth: number): string => `hf_${String(nth).padStart(32, '0')}`;

/** As from another batch: no two have lines in common. */
const apart = (record: ReservationRecord): ReservationRecord =>
  isTombstone(record) ? record : { ...record, lines: structuredClone(record.lines) };

it('a reservation beside any others is what it is alone', () => {
  const write = createReservationWriter();
  let shared = 0;
  const check = (given: readonly Answer[]): void => {
    const bodyOf = createReservationBodies();
    const bodies = new Set<unknown>();
    given.forEach(({ record, stamp, level }, nth) => {
      const body = bodyOf(apart(record), stamp, level);
      const text = Buffer.from(body.stamped('AAAAAA-00000', idOf(nth))).toString();
      expect(text).toBe(write(idOf(nth), record, stamp, level));
      bodies.add(body);
    });
    shared += given.length - bodies.size;
  };
  fc.assert(fc.property(answers, check), { seed, numRuns: 200 });
  // Else nothing was kept, and nothing compared.
  expect(shared).toBeGreaterThan(500);
});
