/** The table of causes: who says what, who is right, and what is done. */
import { describe, expect, it } from 'vitest';
import type { Cell } from '../../engine/domain/cell.ts';
import type { CellField, Sku } from '../../engine/domain/ids.ts';
import type { HeldRecord, ReservationRecord } from '../../engine/domain/reservation.ts';
import { encodeCell } from '../../engine/events/cell-codec.ts';
import { encodeHold } from '../../engine/events/hold-codec.ts';
import { CAUSE_NAMES, type Cause } from './causes.ts';
import { diagnoseCell } from './diagnose-cell.ts';
import { diagnoseRecord } from './diagnose-record.ts';
import { changeOf, encodeRepair } from './encode-repair.ts';
import type {
  Balances,
  CellEvidence,
  ForgedMovement,
  RecordEvidence,
  RedisCell,
  StoredCell,
} from './facts.ts';
import type { Finding } from './finding.ts';

const NAME = { sku: 'TEA' as Sku, field: 'A' as CellField };
const AT = { epoch: 7, seq: 40 };

type Numbers = readonly [available: number, reserved: number, allocated: number];

const balances = ([available, reserved, allocated]: Numbers): Balances => ({
  available,
  reserved,
  allocated,
});
const cell = (numbers: Numbers, version = 5): Cell => ({ ...balances(numbers), version });
const inRedis = (numbers: Numbers, version = 5): RedisCell => ({
  kind: 'cell',
  bytes: encodeCell(cell(numbers, version)),
  cell: cell(numbers, version),
});
const row = (numbers: Numbers, version = 5, suspect: string | null = null): StoredCell => ({
  ...cell(numbers, version),
  epoch: 7,
  seq: 39,
  suspect,
});

const RIGHT: Numbers = [90, 4, 6];
const HONEST: CellEvidence = {
  name: NAME,
  at: AT,
  redis: inRedis(RIGHT),
  isMoving: false,
  stored: row(RIGHT),
  ledger: balances(RIGHT),
  lines: { reserved: 4, allocated: 6 },
  forged: [],
};
const forged = (source: string, dest: string, quantity: number): ForgedMovement =>
  ({ source, dest, quantity, name: '0-7-3-1000' }) as ForgedMovement;

interface CellCase {
  readonly what: string;
  readonly but: Partial<CellEvidence>;
  readonly cause: Cause | undefined;
  /** Balances of the row after its correction and of Redis after its step must be these. */
  readonly to?: Numbers;
  readonly isDecided?: boolean;
}

const ABSENT = { kind: 'absent' } as const;
const UNREADABLE = { kind: 'unreadable', bytes: Buffer.from('?') } as const;
const NONE = { ledger: undefined, lines: { reserved: 0, allocated: 0 } };

const CELLS: readonly CellCase[] = [
  { what: 'all agree', but: {}, cause: undefined },
  { what: 'nobody knows it', but: { ...NONE, redis: ABSENT, stored: undefined }, cause: undefined },
  { what: 'Redis edited', but: { redis: inRedis([99, 4, 6]) }, cause: 'manual_edit', to: RIGHT },
  {
    what: 'Redis edited, version and all',
    but: { redis: inRedis([99, 4, 6], 9) },
    cause: 'manual_edit',
    to: RIGHT,
  },
  { what: 'Redis older', but: { redis: inRedis([94, 0, 6], 3) }, cause: 'stale_cell', to: RIGHT },
  { what: 'the row edited', but: { stored: row([1, 4, 6]) }, cause: 'manual_edit', to: RIGHT },
  { what: 'the row older', but: { stored: row([94, 0, 6], 3) }, cause: 'lost_write', to: RIGHT },
  { what: 'the row gone', but: { stored: undefined }, cause: 'lost_row', to: RIGHT },
  { what: 'the cell gone', but: { redis: ABSENT }, cause: 'missing_cell', to: RIGHT },
  {
    what: 'both gone, the ledger has units',
    but: { redis: ABSENT, stored: undefined },
    cause: 'missing_cell',
    to: RIGHT,
  },
  { what: 'garbage', but: { redis: UNREADABLE }, cause: 'unreadable_record', to: RIGHT },
  {
    what: 'garbage, and the row is off too',
    but: { redis: UNREADABLE, stored: row([1, 4, 6]) },
    cause: 'undecided',
    isDecided: false,
  },
  {
    what: 'only Redis ever heard of it',
    but: { ...NONE, stored: undefined },
    cause: 'orphan_cell',
    isDecided: true,
  },
  {
    what: 'only a row, and no movement',
    but: { ...NONE, redis: ABSENT },
    cause: 'phantom_row',
    isDecided: true,
  },
  {
    what: 'three stories',
    but: { redis: inRedis([99, 4, 6]), stored: row([1, 4, 6]) },
    cause: 'undecided',
    isDecided: false,
  },
  {
    what: 'a movement twice',
    but: { ledger: balances([88, 6, 6]), forged: [forged('available', 'reserved', 2)] },
    cause: 'double_apply',
    to: RIGHT,
  },
  {
    what: 'a forged movement that does not explain it',
    but: { ledger: balances([80, 4, 6]), forged: [forged('available', 'reserved', 2)] },
    cause: 'ledger_mismatch',
    isDecided: false,
  },
  {
    what: 'a movement within the cell lost',
    but: { ledger: balances([94, 0, 6]) },
    cause: 'lost_movement',
    to: RIGHT,
  },
  {
    what: 'a receipt lost: nothing tells it from an edit',
    but: { ledger: balances([80, 4, 6]) },
    cause: 'ledger_mismatch',
    isDecided: false,
  },
  {
    what: 'both drifted, and the persister saw it',
    but: { ledger: balances([50, 4, 6]), stored: row(RIGHT, 5, 'available is off by 40') },
    cause: 'balance_drift',
    to: [50, 4, 6],
  },
  {
    what: 'both drifted, and more was sold than there was',
    but: { ledger: balances([-9, 4, 6]), stored: row(RIGHT, 5, 'available is off by 99') },
    cause: 'ledger_mismatch',
    isDecided: false,
  },
  {
    what: 'a cell that moves: judged by the row and the ledger alone',
    but: { isMoving: true, redis: inRedis([1, 1, 1], 99) },
    cause: undefined,
  },
  {
    what: 'a mark that is history',
    but: { stored: row(RIGHT, 5, 'available is off by 40') },
    cause: 'stale_mark',
    isDecided: true,
  },
  {
    what: 'the lines are off',
    but: { lines: { reserved: 9, allocated: 6 } },
    cause: 'hold_sum_mismatch',
    isDecided: false,
  },
];

describe('a cell', () => {
  it.each(CELLS)('$what: $cause', ({ but, cause, to, isDecided }) => {
    const evidence = { ...HONEST, ...but };
    const finding = diagnoseCell(evidence, 'rc-1-TEA:A');
    expect(finding?.cause).toBe(cause);
    if (finding === undefined) return;
    if (isDecided !== undefined) expect(finding.repair !== undefined).toBe(isDecided);
    if (to !== undefined) expectCellAfter(evidence, finding, balances(to));
  });
});

/** Applies the repair to what each of the three says, on paper: all three must then say the same. */
function expectCellAfter(evidence: CellEvidence, finding: Finding, right: Balances): void {
  const { repair, cause } = finding;
  if (repair?.by !== 'log') throw new Error('it should be repaired by the log');
  const [step] = repair.cells ?? [];
  const before = evidence.redis.kind === 'cell' ? evidence.redis.cell : cell([0, 0, 0], 0);
  if (step === undefined || step.how === 'remove') throw new Error('the cell has no step');
  const redis = step.how === 'put' ? step.to : add(before, step.by);
  expect(redis).toMatchObject(right);
  const { corrections, movements } = changeOf(repair, cause);
  let stored = balances([
    evidence.stored?.available ?? 0,
    evidence.stored?.reserved ?? 0,
    evidence.stored?.allocated ?? 0,
  ]);
  for (const by of corrections) stored = add(stored, by);
  expect(stored).toEqual(right);
  const sums: Record<string, number> = { ...(evidence.ledger ?? balances([0, 0, 0])) };
  for (const { source, dest, quantity } of movements) {
    expect(quantity).toBeGreaterThan(0);
    sums[source] = (sums[source] ?? 0) - quantity;
    sums[dest] = (sums[dest] ?? 0) + quantity;
  }
  expect(sums).toMatchObject(right);
  expect(encodeRepair(repair, cause).length).toBeGreaterThan(40);
}

function add(a: Balances, b: Balances): Balances {
  return balances([a.available + b.available, a.reserved + b.reserved, a.allocated + b.allocated]);
}

const HELD: HeldRecord = {
  state: 'held',
  fingerprint: Buffer.alloc(8, 7),
  createdS: 1_795_262_400,
  version: 2,
  deadlineS: 1_795_263_000,
  operations: [],
  lines: [
    {
      ...{ line: 0, sku: NAME.sku, requested: 3 },
      placements: [{ field: NAME.field, quantity: 3 }],
    },
  ],
};
const COMMITTED: ReservationRecord = {
  ...{ state: 'committed', fingerprint: HELD.fingerprint, createdS: HELD.createdS, version: 3 },
  ...{ commitFingerprint: 0, operations: [], lines: HELD.lines },
};
const EXPIRED: ReservationRecord = {
  ...{ state: 'expired', fingerprint: HELD.fingerprint, createdS: HELD.createdS },
};

function redisRecord(record: ReservationRecord): RecordEvidence['redis'] {
  return { kind: 'reservation', bytes: encodeHold(record), record };
}

function storedRecord(record: ReservationRecord, version = 2): RecordEvidence['stored'] {
  const isHeld = record.state === 'held';
  const units = 'lines' in record ? 3 : 0;
  return {
    kind: 'reservation',
    ...{ id: 'order-1', generation: 20_778, createdEpoch: 7, createdSeq: 3, epoch: 7, seq: 9 },
    ...{ version, status: record.state, deadlineS: isHeld ? record.deadlineS : undefined },
    ...{ record, bytes: encodeHold(record) },
    lines: [
      {
        ...{ line: 0, name: NAME, requested: 3 },
        reserved: isHeld ? units : 0,
        allocated: isHeld ? 0 : units,
      },
    ],
  };
}

const ledger = (reserved: number, allocated: number): RecordEvidence['ledger'] => ({
  units: new Map(reserved + allocated === 0 ? [] : [['TEA A', { reserved, allocated }]]),
});

const HONEST_HOLD: RecordEvidence = {
  place: { id: 'order-1', generation: 20_778, bucket: 9 },
  at: AT,
  redis: redisRecord(HELD),
  stored: storedRecord(HELD),
  isElsewhere: false,
  hasEntry: true,
  ledger: ledger(3, 0),
  isDueByRedis: true,
  isDueByStored: true,
  dueElements: [],
};

const LATER: HeldRecord = { ...HELD, deadlineS: HELD.deadlineS + 60 };

const RECORDS: readonly {
  readonly what: string;
  readonly but: Partial<RecordEvidence>;
  readonly cause: Cause | undefined;
  /** Who gets what the other has. */
  readonly wrong?: 'redis' | 'postgres';
}[] = [
  { what: 'all agree', but: {}, cause: undefined },
  { what: 'not due', but: { isDueByRedis: false }, cause: 'missing_expiry' },
  { what: 'Redis lost it', but: { redis: ABSENT }, cause: 'missing_hold', wrong: 'redis' },
  {
    what: 'Redis lost a tombstone',
    but: { redis: ABSENT, stored: storedRecord(EXPIRED), ledger: ledger(0, 0) },
    cause: 'missing_record',
    wrong: 'redis',
  },
  {
    what: 'Redis lost it, and the ledger says that it is over',
    but: { redis: ABSENT, ledger: ledger(0, 0) },
    cause: 'undecided',
  },
  {
    what: 'a row that nothing backs',
    but: { redis: ABSENT, ledger: undefined, hasEntry: false },
    cause: 'phantom_row',
  },
  { what: 'garbage', but: { redis: UNREADABLE }, cause: 'unreadable_record', wrong: 'redis' },
  {
    what: 'nobody made it',
    but: { stored: undefined, ledger: undefined, hasEntry: false },
    cause: 'orphan_hold',
  },
  {
    what: 'nobody made the tombstone',
    but: { stored: undefined, ledger: undefined, redis: redisRecord(EXPIRED) },
    cause: 'orphan_record',
  },
  { what: 'its row is gone', but: { stored: undefined }, cause: 'lost_row', wrong: 'postgres' },
  {
    what: 'its row is of another day',
    but: { stored: undefined, isElsewhere: true },
    cause: 'undecided',
  },
  {
    what: 'Redis fell back behind a commit',
    but: { stored: storedRecord(COMMITTED, 3), ledger: ledger(0, 3) },
    cause: 'stale_hold',
    wrong: 'redis',
  },
  {
    what: 'the row fell back behind a commit',
    but: { redis: redisRecord(COMMITTED), ledger: ledger(0, 3) },
    cause: 'lost_write',
    wrong: 'postgres',
  },
  {
    what: 'Redis was edited into a commit',
    but: { redis: redisRecord(COMMITTED) },
    cause: 'manual_edit',
    wrong: 'redis',
  },
  {
    what: 'an extension that the row missed',
    but: { redis: redisRecord({ ...LATER, version: 3 }) },
    cause: 'lost_write',
    wrong: 'postgres',
  },
  {
    what: 'a deadline edited in PostgreSQL',
    but: { stored: storedRecord(LATER), isDueByStored: false },
    cause: 'manual_edit',
    wrong: 'postgres',
  },
  {
    what: 'a deadline edited in Redis',
    but: { redis: redisRecord(LATER), isDueByRedis: false },
    cause: 'manual_edit',
    wrong: 'redis',
  },
  {
    what: 'two deadlines, and both are due',
    but: { redis: redisRecord(LATER) },
    cause: 'undecided',
  },
];

describe('a record', () => {
  it.each(RECORDS)('$what: $cause', ({ but, cause, wrong }) => {
    const evidence = { ...HONEST_HOLD, ...but };
    const finding = diagnoseRecord(evidence);
    expect(finding?.cause).toBe(cause);
    if (finding === undefined) return;
    if (cause === 'undecided') expect(finding.repair).toBeUndefined();
    if (finding.repair?.by !== 'log') return;
    expect(encodeRepair(finding.repair, finding.cause).length).toBeGreaterThan(40);
    const { records = [], reservation } = finding.repair;
    const [step] = records;
    if (wrong === 'redis') {
      expect(step?.how).toBe('put');
      const right = evidence.stored;
      if (right?.kind !== 'reservation' || step?.how !== 'put') throw new Error('no row');
      expect(step.to[0]).toBe(encodeHold(right.record)[0]);
      expect(reservation?.lines ?? []).toEqual([]);
    }
    if (wrong === 'postgres') expect(reservation).toBeDefined();
  });
});

it('every cause that can be decided is in one of the tables, or planted in reconcile.int.test.ts', () => {
  const told = new Set([...CELLS, ...RECORDS].map(({ cause }) => cause));
  const elsewhere = ['missing_product', 'orphan_due'];
  const missing = CAUSE_NAMES.filter((cause) => !told.has(cause) && !elsewhere.includes(cause));
  expect(missing).toEqual([]);
});
