/**
 * Which side of a cell is right, and why. Pure.
 *
 * Three say what a cell holds: Redis, which decided; PostgreSQL's row, which is a cache of the
 * ledger; and the ledger, the sum of every movement that the log brought. Whoever stands alone
 * against the other two is wrong. When Redis and the row agree against the ledger there are two more
 * witnesses: the lines of reservations for what is reserved and allocated, and the mark that the
 * persister left where it saw a balance jump without a movement. Where they do not decide, nothing
 * is done.
 */
import type { Cell } from '../../engine/domain/cell.ts';
import type { Cause } from './causes.ts';
import type { Balances, CellEvidence, CellName, StoredCell } from './facts.ts';
import { BALANCES, sameBalances, showName } from './facts.ts';
import type { CellStep, Finding, LaneRepair, MovementStep } from './finding.ts';
import { FLOWS } from './ledger-sql.ts';
import { netOf, reversed } from './ledger-sums.ts';

export const ZERO: Balances = { available: 0, reserved: 0, allocated: 0 };
const NOTHING = Buffer.alloc(0);

type Said = Pick<Finding, 'where' | 'redis' | 'postgres' | 'witness' | 'subject'>;

export function diagnoseCell(evidence: CellEvidence, repairId: string): Finding | undefined {
  const said = sayCell(evidence);
  const judged = judge(evidence);
  if (judged === undefined) return undefined;
  const { cause, why, repair, statement, action } = judged;
  if (statement !== undefined) {
    return { ...said, cause, why, repair: { by: 'postgres', action: action ?? '', statement } };
  }
  if (repair === undefined) return { ...said, cause, why };
  return {
    ...said,
    cause,
    why,
    repair: { by: 'log', action: action ?? '', id: repairId, generation: 0, ...repair },
  };
}

interface Judged {
  readonly cause: Cause;
  readonly why: string;
  readonly action?: string;
  readonly repair?: Omit<LaneRepair, 'id' | 'generation'>;
  readonly statement?: { readonly text: string; readonly values: readonly unknown[] };
}

function judge(evidence: CellEvidence): Judged | undefined {
  const { redis, stored } = evidence;
  const ledger = evidence.ledger ?? ZERO;
  // What moves is told by the row and the ledger, which are of one moment.
  if (evidence.isMoving) return stored && againstLedger(evidence, stored, ledger);
  if (redis.kind === 'unreadable') return unreadable(evidence, redis.bytes, ledger);
  if (redis.kind === 'absent') return absent(evidence, ledger);
  if (stored === undefined) return withoutRow(evidence, redis.bytes, redis.cell);
  if (redis.cell.version === stored.version && sameBalances(redis.cell, stored)) {
    return againstLedger(evidence, stored, ledger);
  }
  return apart(evidence, redis, stored, ledger);
}

function unreadable({ name, stored }: CellEvidence, seen: Buffer, ledger: Balances): Judged {
  if (stored === undefined || !sameBalances(stored, ledger)) {
    return {
      cause: 'undecided',
      why: 'Redis cannot be read, and the ledger does not back the row',
    };
  }
  const why = 'nobody can read what Redis has; PostgreSQL has what the ledger sums to';
  return {
    cause: 'unreadable_record',
    why,
    ...putCell(name, seen, stored, stored.version + 1, ZERO),
  };
}

function absent(evidence: CellEvidence, ledger: Balances): Judged | undefined {
  const { name, stored, lines } = evidence;
  if (stored === undefined && evidence.ledger === undefined) return undefined;
  if (stored !== undefined && evidence.ledger === undefined && !sameBalances(stored, ZERO)) {
    if (lines.reserved !== 0 || lines.allocated !== 0) return undecided();
    const why = 'no movement ever touched the cell, and Redis does not know it';
    return {
      cause: 'phantom_row',
      why,
      action: 'delete the row',
      statement: deleteRow(name, stored),
    };
  }
  const isBacked = stored === undefined ? linesBack(lines, ledger) : sameBalances(stored, ledger);
  if (!isBacked) return undecided();
  const why = `the ledger has ${show(ledger)}, Redis has no such cell`;
  const off = stored === undefined ? ledger : ZERO;
  const version = (stored?.version ?? 0) + 1;
  return { cause: 'missing_cell', why, ...putCell(name, NOTHING, ledger, version, off, ledger) };
}

function withoutRow(evidence: CellEvidence, seen: Buffer, cell: Cell): Judged {
  const { name, ledger } = evidence;
  if (ledger === undefined && !sameBalances(cell, ZERO)) {
    const why = 'no movement ever touched the cell, and PostgreSQL does not know it';
    const cells: CellStep[] = [{ how: 'remove', name, seen }];
    return { cause: 'orphan_cell', why, action: 'remove it from Redis', repair: { cells } };
  }
  if (!sameBalances(cell, ledger ?? ZERO)) return undecided();
  const why = 'the ledger backs Redis, and its row is gone';
  return { cause: 'lost_row', why, ...putCell(name, seen, cell, cell.version + 1, cell) };
}

/** Redis and the row say different things. */
function apart(
  { name }: CellEvidence,
  redis: { readonly bytes: Buffer; readonly cell: Cell },
  stored: StoredCell,
  ledger: Balances,
): Judged {
  const { cell, bytes: seen } = redis;
  const version = Math.max(cell.version, stored.version) + 1;
  const backsRedis = sameBalances(cell, ledger);
  const backsRow = sameBalances(stored, ledger);
  const isRedisOlder = cell.version < stored.version;
  if (!backsRedis && !backsRow) return undecided();
  if (backsRow && (!backsRedis || isRedisOlder)) {
    const cause = isRedisOlder ? 'stale_cell' : 'manual_edit';
    const why = isRedisOlder
      ? `Redis fell back to version ${cell.version}; the ledger backs PostgreSQL`
      : 'Redis was changed without an entry of the log; the ledger backs PostgreSQL';
    const drift = minus(stored, cell);
    return { cause, why, ...putCell(name, seen, stored, version, ZERO, drift) };
  }
  const isRowOlder = stored.version < cell.version;
  const cause = isRowOlder ? 'lost_write' : 'manual_edit';
  const why = isRowOlder
    ? `the row fell back to version ${stored.version}; the ledger backs Redis`
    : 'the row was changed without an entry of the log; the ledger backs Redis';
  return { cause, why, ...putCell(name, seen, cell, version, minus(cell, stored)) };
}

/** Redis and the row agree. */
function againstLedger(
  evidence: CellEvidence,
  stored: StoredCell,
  ledger: Balances,
): Judged | undefined {
  const { name, lines, at } = evidence;
  if (sameBalances(stored, ledger)) return onceAgreed(evidence, stored);
  const off = minus(stored, ledger);
  const forged = netOf(evidence.forged);
  if (evidence.forged.length > 0 && sameBalances(minus(ledger, forged), stored)) {
    const rows = evidence.forged.map((row) => row.name).join(', ');
    const why = `no entry made these rows of the ledger: ${rows}`;
    const movements = reversed(evidence.forged).map((each) => ({ name, ...each }));
    return {
      cause: 'double_apply',
      why,
      ...touch(name, at, movements, 'a movement back for each row'),
    };
  }
  const isWithin = off.available + off.reserved + off.allocated === 0;
  if (isWithin && linesBack(lines, stored)) {
    const why =
      'the lines of reservations back both stores: the ledger lacks a movement within the cell';
    const movements = within(name, off);
    return {
      cause: 'lost_movement',
      why,
      ...touch(name, at, movements, 'write the movement again'),
    };
  }
  if (stored.suspect === null || !linesBack(lines, ledger)) {
    const why = `both stores are off the ledger by ${show(off)}, and nothing tells which is right`;
    return { cause: 'ledger_mismatch', why };
  }
  return drifted(evidence, stored, ledger);
}

function drifted({ name, at }: CellEvidence, stored: StoredCell, ledger: Balances): Judged {
  const by = minus(ledger, stored);
  const seen = `the persister saw it: ${stored.suspect ?? ''}`;
  if (BALANCES.some((balance) => ledger[balance] < 0)) {
    const why = `the ledger sums to ${show(ledger)}: more was sold than there was; ${seen}`;
    return { cause: 'ledger_mismatch', why };
  }
  return {
    cause: 'balance_drift',
    why: seen,
    action: `move both balances by ${show(by)}`,
    repair: {
      cells: [{ how: 'move', name, at, by }],
      corrections: [{ name, ...by }],
      movements: thereAndBack(name, by),
    },
  };
}

function onceAgreed({ name, lines }: CellEvidence, stored: StoredCell): Judged | undefined {
  if (!linesBack(lines, stored)) {
    const sums = `${lines.reserved} reserved, ${lines.allocated} allocated`;
    return { cause: 'hold_sum_mismatch', why: `the lines of reservations sum to ${sums}` };
  }
  if (stored.suspect === null) return undefined;
  const why = `all agree again; the mark says: ${stored.suspect}`;
  const statement = { text: TAKE_MARK_OFF, values: [[name.sku], ...keyOf(name), stored.suspect] };
  return { cause: 'stale_mark', why, action: 'take the mark off', statement };
}

/**
 * The cell may be sold all the time, so its version is no guard: the row must be what ledger and
 * lines sum to in the statement's own snapshot. An update that comes in between makes it a no.
 */
const TAKE_MARK_OFF = `
  WITH ${FLOWS}
  UPDATE inventory i SET suspect = NULL
  FROM ledger LEFT JOIN lines USING (sku_id, warehouse_id, pool)
  WHERE i.lane = $1 AND (i.sku_id, i.warehouse_id, i.pool) = ($3, $4, $5) AND i.suspect = $6
    AND (ledger.sku_id, ledger.warehouse_id, ledger.pool) = ($3, $4, $5)
    AND (i.available_qty, i.reserved_qty, i.allocated_qty)
      = (ledger.available, ledger.reserved, ledger.allocated)
    AND (i.reserved_qty, i.allocated_qty)
      = (coalesce(line_reserved, 0), coalesce(line_allocated, 0))`;

function undecided(): Judged {
  return { cause: 'undecided', why: 'the stores differ, and the ledger backs none of them' };
}

/** `correction`: by how much the row is off; `drift`: by how much Redis is. */
function putCell(
  name: CellName,
  seen: Buffer,
  right: Balances,
  version: number,
  correction: Balances,
  drift: Balances = correction,
): Pick<Judged, 'action' | 'repair'> {
  const { available, reserved, allocated } = right;
  return {
    action: `${show(right)} in both stores`,
    repair: {
      cells: [{ how: 'put', name, seen, to: { available, reserved, allocated, version } }],
      corrections: [{ name, ...pick(correction) }],
      movements: thereAndBack(name, drift),
    },
  };
}

function touch(
  name: CellName,
  at: CellEvidence['at'],
  movements: readonly MovementStep[],
  action: string,
): Pick<Judged, 'action' | 'repair'> {
  return {
    action,
    repair: { cells: [{ how: 'move', name, at, by: ZERO }], corrections: [], movements },
  };
}

/** The ledger was right: it remembers the repair, and its sums stay. */
export function thereAndBack(name: CellName, units: Balances): MovementStep[] {
  return BALANCES.flatMap((balance) => {
    const quantity = Math.abs(units[balance]);
    if (quantity === 0) return [];
    return [
      { name, source: 'drift', dest: balance, quantity },
      { name, source: balance, dest: 'drift', quantity },
    ] as const;
  });
}

/** Movements between the balances of one cell that change them by so much; they sum to zero. */
function within(name: CellName, units: Balances): MovementStep[] {
  const left = { ...pick(units) };
  const movements: MovementStep[] = [];
  for (const source of BALANCES) {
    for (const dest of BALANCES) {
      const quantity = Math.min(-left[source], left[dest]);
      if (quantity <= 0) continue;
      left[source] += quantity;
      left[dest] -= quantity;
      movements.push({ name, source, dest, quantity });
    }
  }
  return movements;
}

function linesBack(lines: CellEvidence['lines'], balances: Balances): boolean {
  return lines.reserved === balances.reserved && lines.allocated === balances.allocated;
}

function deleteRow(name: CellName, stored: StoredCell) {
  const [sku, warehouse, pool] = keyOf(name);
  return {
    text: `DELETE FROM inventory
           WHERE lane = $1 AND sku_id = $2 AND warehouse_id = $3 AND pool = $4
             AND version = $5 AND epoch = $6 AND seq = $7
             AND available_qty = $8 AND reserved_qty = $9 AND allocated_qty = $10`,
    values: [
      ...[sku, warehouse, pool, stored.version, stored.epoch, stored.seq],
      ...[stored.available, stored.reserved, stored.allocated],
    ],
  };
}

function keyOf({ sku, field }: CellName): [string, string, string] {
  const [warehouse = '', pool = 'shared'] = field.split('/');
  return [sku, warehouse, pool];
}

function pick({ available, reserved, allocated }: Balances): Balances & Record<string, number> {
  return { available, reserved, allocated };
}

function minus(a: Balances, b: Balances): Balances {
  return {
    available: a.available - b.available,
    reserved: a.reserved - b.reserved,
    allocated: a.allocated - b.allocated,
  };
}

export function show({ available, reserved, allocated }: Balances): string {
  return `${available}/${reserved}/${allocated}`;
}

function sayCell({ name, redis, stored, ledger, lines }: CellEvidence): Said {
  const version = (cell: Cell) => `${show(cell)} v${cell.version}`;
  const bytes = redis.kind === 'unreadable' ? redis.bytes.subarray(0, 16).toString('hex') : '';
  return {
    where: `cell ${showName(name)}`,
    redis:
      redis.kind === 'cell' ? version(redis.cell) : bytes === '' ? 'nothing' : `bytes ${bytes}`,
    postgres: stored === undefined ? 'nothing' : version(stored),
    witness: `ledger ${ledger === undefined ? 'nothing' : show(ledger)}, lines ${lines.reserved}/${lines.allocated}`,
    subject: { kind: 'cell', name },
  };
}
