/**
 * Which side of a record is right, and why. Pure.
 *
 * Redis has the record, PostgreSQL the row; the ledger knows what units the reservation has now, by
 * its movements. Whoever has other units than the ledger is wrong. Where the units are the same (a
 * deadline, a version), the older of the two lost a write: versions count every change. At the same
 * version the deadlines in Redis tell which deadline was given; and where they do not, nothing is
 * done. A difference without units is never worth a guess.
 */
import type { ReservationRecord, ReservationState } from '../../engine/domain/reservation.ts';
import { encodeHold } from '../../engine/events/hold-codec.ts';
import type { Cause } from './causes.ts';
import { thereAndBack, ZERO } from './diagnose-cell.ts';
import type {
  LineUnits,
  RecordEvidence,
  RedisRecord,
  StoredRecord,
  StoredReservation,
} from './facts.ts';
import { showName } from './facts.ts';
import type { CellStep, Finding, LaneRepair, RecordStep } from './finding.ts';

const NOTHING = Buffer.alloc(0);
const NO_PLACE = { epoch: 0, seq: 0 };
/** Versions of a reservation have 16 bits and begin again. */
const VERSIONS = 65_536;

interface Judged {
  readonly cause: Cause;
  readonly why: string;
  readonly action?: string;
  readonly repair?: Omit<LaneRepair, 'id' | 'generation'>;
  readonly statement?: { readonly text: string; readonly values: readonly unknown[] };
}

type ReservationInRedis = Extract<RedisRecord, { kind: 'reservation' }>;

export function diagnoseRecord(evidence: RecordEvidence): Finding | undefined {
  const judged = judge(evidence);
  if (judged === undefined) return undefined;
  const { cause, why, repair, statement, action = '' } = judged;
  const said = { ...sayRecord(evidence), cause, why };
  if (statement !== undefined) return { ...said, repair: { by: 'postgres', action, statement } };
  if (repair === undefined) return said;
  const { id, generation } = evidence.place;
  return { ...said, repair: { by: 'log', action, id, generation, ...repair } };
}

function judge(evidence: RecordEvidence): Judged | undefined {
  const { redis, stored } = evidence;
  if (redis.kind === 'absent') return stored && missing(evidence, stored);
  if (stored === undefined) return unknownToPostgres(evidence, redis);
  if (redis.bytes.equals(stored.bytes)) return expiryOf(evidence, redis);
  if (stored.kind === 'operation' || redis.kind === 'operation') {
    return { cause: 'undecided', why: 'one says that the id is a stock operation, or another one' };
  }
  const backsRow = backs(evidence, linesOf(stored.record));
  if (redis.kind === 'unreadable') {
    if (!backsRow) return undecided();
    const why = 'nobody can read what Redis has; the ledger backs PostgreSQL';
    return { cause: 'unreadable_record', why, ...putRecord(evidence, redis.bytes, stored) };
  }
  return apart(evidence, redis, stored, backsRow);
}

function missing(evidence: RecordEvidence, stored: StoredRecord): Judged | undefined {
  const { place } = evidence;
  if (stored.kind === 'operation') {
    const why = 'a retry of the stock operation would do it again';
    const records: RecordStep[] = [
      { how: 'put', place, seen: NOTHING, to: stored.bytes, deadlineS: 0 },
    ];
    return { cause: 'missing_record', why, action: 'make the record again', repair: { records } };
  }
  if (!evidence.hasEntry && evidence.ledger === undefined) {
    const why = 'no entry made the row and no movement names it, and Redis does not know it';
    const statement = deleteReservation(stored);
    return { cause: 'phantom_row', why, action: 'delete the row and its lines', statement };
  }
  if (!backs(evidence, linesOf(stored.record))) return undecided();
  const isHeld = stored.status === 'held';
  const why = isHeld
    ? 'the ledger backs the hold of PostgreSQL, Redis has none'
    : `it was ${stored.status}: a retry would find nothing`;
  const cause = isHeld ? 'missing_hold' : 'missing_record';
  return { cause, why, ...putRecord(evidence, NOTHING, stored) };
}

function unknownToPostgres(
  evidence: RecordEvidence,
  redis: Exclude<RedisRecord, { kind: 'absent' }>,
): Judged {
  const { place, ledger } = evidence;
  if (evidence.isElsewhere) {
    return { cause: 'undecided', why: 'PostgreSQL has the id in another day than Redis' };
  }
  if (ledger === undefined && redis.kind !== 'operation') {
    const isHold = redis.kind === 'reservation' && redis.record.state === 'held';
    const why = 'no entry made it and no movement names it';
    const records: RecordStep[] = [{ how: 'remove', place, seen: redis.bytes }];
    const action = 'remove it from Redis';
    const elements = evidence.dueElements;
    const repair = { records, elements };
    return { cause: isHold ? 'orphan_hold' : 'orphan_record', why, action, repair };
  }
  if (redis.kind === 'reservation' && backs(evidence, linesOf(redis.record))) {
    const why = 'the ledger backs Redis, and its row is gone';
    return { cause: 'lost_row', why, ...restate(evidence, redis, []) };
  }
  return undecided();
}

/** The stores agree: is the hold among the deadlines? */
function expiryOf(evidence: RecordEvidence, redis: RedisRecord): Judged | undefined {
  if (redis.kind !== 'reservation' || redis.record.state !== 'held') return undefined;
  if (evidence.isDueByRedis) return undefined;
  const { deadlineS, lines } = redis.record;
  const { place } = evidence;
  return {
    cause: 'missing_expiry',
    why: `no deadline names it in second ${deadlineS}`,
    action: `add the deadline ${deadlineS}`,
    repair: {
      records: [{ how: 'keep', place, seen: redis.bytes, deadlineS }],
      ...traceOf('held', unitsOf('held', lines)),
    },
  };
}

/** Both have it, and differ. */
function apart(
  evidence: RecordEvidence,
  redis: ReservationInRedis,
  stored: StoredReservation,
  backsRow: boolean,
): Judged {
  const backsRedis = backs(evidence, linesOf(redis.record));
  const age = compareAge(redis.record, stored);
  if (!backsRow && !backsRedis) return undecided();
  const byRow = (cause: Cause, why: string): Judged => {
    return { cause, why, ...putRecord(evidence, redis.bytes, stored) };
  };
  const byRedis = (cause: Cause, why: string): Judged => {
    return { cause, why, ...restate(evidence, redis, stored.lines) };
  };
  if (backsRow && !backsRedis) {
    if (age < 0) return byRow('stale_hold', 'Redis fell back; the ledger backs PostgreSQL');
    return byRow('manual_edit', 'Redis was changed without an entry; the ledger backs PostgreSQL');
  }
  if (backsRedis && !backsRow) {
    if (age > 0) return byRedis('lost_write', 'the row fell back; the ledger backs Redis');
    return byRedis('manual_edit', 'the row was changed without an entry; the ledger backs Redis');
  }
  if (age < 0) return byRow('stale_hold', 'Redis has an older version of it');
  if (age > 0) return byRedis('lost_write', 'the row is of an older version');
  if (evidence.isDueByRedis && !evidence.isDueByStored) {
    return byRedis('manual_edit', 'the deadlines back Redis: the row was changed');
  }
  if (evidence.isDueByStored && !evidence.isDueByRedis) {
    return byRow('manual_edit', 'the deadlines back PostgreSQL: Redis was changed');
  }
  return { cause: 'undecided', why: 'they differ at the same version, with the same units' };
}

const RANK: Readonly<Record<ReservationState, number>> = {
  held: 0,
  committed: 1,
  released: 2,
  expired: 2,
  closed: 2,
};

/** Below 0: Redis has the older one. */
function compareAge(record: ReservationRecord, stored: StoredReservation): number {
  const created = record.createdS - stored.record.createdS;
  if (created !== 0) return created;
  const rank = RANK[record.state] - RANK[stored.status];
  if (rank !== 0 || !('version' in record)) return rank;
  return record.version - stored.version;
}

/** Redis gets what PostgreSQL has, as one more version of it; the row gets the same by the log. */
function putRecord(
  evidence: RecordEvidence,
  seen: Buffer,
  stored: StoredReservation,
): Pick<Judged, 'action' | 'repair'> {
  const { place } = evidence;
  const version = (stored.version + 1) % VERSIONS;
  const record = 'version' in stored.record ? { ...stored.record, version } : stored.record;
  const isLive = record.state === 'held' || record.state === 'committed';
  const deadlineS = record.state === 'held' ? record.deadlineS : 0;
  const to = encodeHold(record);
  // A tombstone forgot what the row still knows: it goes back alone.
  const reservation = isLive ? { reservation: { version, record, lines: [] } } : {};
  return {
    action: `write it to Redis as ${stored.status}`,
    repair: {
      records: [{ how: 'put', place, seen, to, deadlineS }],
      ...traceOf(record.state, linesOf(record)),
      ...reservation,
    },
  };
}

/** PostgreSQL gets what Redis has, by the log; the record goes up a version with it. */
function restate(
  evidence: RecordEvidence,
  { record: found, bytes }: ReservationInRedis,
  storedLines: readonly LineUnits[],
): Pick<Judged, 'action' | 'repair'> {
  const { place, stored } = evidence;
  const before = stored?.kind === 'reservation' ? stored.version : 0;
  const version = (Math.max('version' in found ? found.version : 0, before) + 1) % VERSIONS;
  const record = 'version' in found ? { ...found, version } : found;
  const lines = corrections(linesOf(record), storedLines);
  const trace = traceOf(record.state, linesOf(record), lines);
  const records: RecordStep[] = [
    'version' in found
      ? { how: 'put', place, seen: bytes, to: encodeHold(record), deadlineS: 0 }
      : { how: 'keep', place, seen: bytes, deadlineS: 0 },
  ];
  return {
    action: `write it to PostgreSQL as ${record.state}`,
    repair: { records, ...trace, reservation: { version, record, lines } },
  };
}

function linesOf(record: ReservationRecord): LineUnits[] {
  return 'lines' in record ? unitsOf(record.state, record.lines) : [];
}

function unitsOf(
  state: 'held' | 'committed',
  lines: Extract<ReservationRecord, { state: 'held' }>['lines'],
): LineUnits[] {
  return lines.flatMap(({ line, sku, requested, placements }) =>
    placements.map(({ field, quantity }) => ({
      line,
      name: { sku, field },
      requested,
      reserved: state === 'held' ? quantity : 0,
      allocated: state === 'committed' ? quantity : 0,
    })),
  );
}

const lineKey = ({ line, name }: LineUnits): string => `${line} ${showName(name)}`;

/** By how much each stored line is off what is right. */
function corrections(right: readonly LineUnits[], stored: readonly LineUnits[]): LineUnits[] {
  const due = new Map(right.map((line) => [lineKey(line), line]));
  const had = new Map(stored.map((line) => [lineKey(line), line]));
  return [...new Set([...due.keys(), ...had.keys()])].flatMap((key) => {
    const [is, was] = [due.get(key), had.get(key)];
    const line = is ?? was;
    if (line === undefined) return [];
    const reserved = (is?.reserved ?? 0) - (was?.reserved ?? 0);
    const allocated = (is?.allocated ?? 0) - (was?.allocated ?? 0);
    if (reserved === 0 && allocated === 0) return [];
    return [{ line: line.line, name: line.name, requested: line.requested, reserved, allocated }];
  });
}

/** The ledger remembers the repair in the cells where the units stand. */
function traceOf(
  state: ReservationState,
  units: readonly LineUnits[],
  more: readonly LineUnits[] = [],
): Pick<LaneRepair, 'cells' | 'movements'> {
  const names = new Map([...units, ...more].map(({ name }) => [showName(name), name]));
  const cells: CellStep[] = [...names.values()].map((name) => {
    return { how: 'move', name, at: NO_PLACE, by: ZERO };
  });
  const balance = state === 'committed' ? 'allocated' : 'reserved';
  const movements = units.flatMap(({ name, reserved, allocated }) =>
    thereAndBack(name, { ...ZERO, [balance]: reserved + allocated }),
  );
  return { cells, movements };
}

/** The ledger's sums for the reservation are these units, cell by cell. */
function backs({ ledger }: RecordEvidence, units: readonly LineUnits[]): boolean {
  const sums = new Map<string, { reserved: number; allocated: number }>();
  for (const { name, reserved, allocated } of units) {
    const sum = sums.get(showName(name)) ?? { reserved: 0, allocated: 0 };
    sums.set(showName(name), sum);
    sum.reserved += reserved;
    sum.allocated += allocated;
  }
  const told = ledger?.units ?? new Map();
  return [...new Set([...sums.keys(), ...told.keys()])].every((name) => {
    const a = sums.get(name) ?? { reserved: 0, allocated: 0 };
    const b = told.get(name) ?? { reserved: 0, allocated: 0 };
    return a.reserved === b.reserved && a.allocated === b.allocated;
  });
}

function deleteReservation(stored: StoredReservation) {
  const { id, createdEpoch, createdSeq, version, epoch, seq, status } = stored;
  return {
    text: `WITH gone AS (
             DELETE FROM reservations
             WHERE lane = $1 AND reservation_id = $2 AND created_epoch = $3 AND created_seq = $4
               AND version = $5 AND epoch = $6 AND seq = $7 AND status = $8
             RETURNING reservation_id, created_epoch, created_seq
           ), lines AS (
             DELETE FROM reservation_lines l USING gone g
             WHERE l.reservation_id = g.reservation_id AND l.created_epoch = g.created_epoch
               AND l.created_seq = g.created_seq
           )
           SELECT reservation_id FROM gone`,
    values: [id, createdEpoch, createdSeq, version, epoch, seq, status],
  };
}

function undecided(): Judged {
  return { cause: 'undecided', why: 'the stores differ, and the ledger backs none of them' };
}

function sayRecord({ place, redis, stored, ledger }: RecordEvidence) {
  const units = ledger === undefined ? [] : [...ledger.units];
  const held = units.map(([name, sum]) => `${sum.reserved}/${sum.allocated} of ${name}`);
  return {
    where: `reservation ${place.id}`,
    redis: sayRedis(redis),
    postgres:
      stored?.kind === 'reservation'
        ? sayReservation(stored.record, stored.version)
        : stored === undefined
          ? 'nothing'
          : 'stock operation',
    witness: ledger === undefined ? 'ledger nothing' : `ledger ${held.join(', ') || 'no units'}`,
    subject: { kind: 'record', place },
  } as const;
}

function sayRedis(redis: RedisRecord): string {
  switch (redis.kind) {
    case 'absent':
      return 'nothing';
    case 'unreadable':
      return `bytes ${redis.bytes.subarray(0, 16).toString('hex')}`;
    case 'operation':
      return 'stock operation';
    default:
      return sayReservation(redis.record);
  }
}

function sayReservation(record: ReservationRecord, version?: number): string {
  const number = 'version' in record ? record.version : version;
  const deadline = record.state === 'held' ? ` until ${record.deadlineS}` : '';
  const units = linesOf(record).map((line) => {
    return `${line.reserved + line.allocated} of ${showName(line.name)}`;
  });
  const counted = number === undefined ? '' : ` v${number}`;
  return `${record.state}${counted}${deadline}${units.length === 0 ? '' : `, ${units.join(', ')}`}`;
}
