/** Pure comparisons: what PostgreSQL and the log make expected, against what Redis has. */
import type {
  CellBalances,
  HeldUnits,
  StoredRecord,
} from '../../engine/testing/auditor/decode-record.ts';
import type { FoldedReservation } from '../../engine/testing/auditor/reservation.ts';
import { advance } from '../../engine/testing/auditor/reservation.ts';
import type { Found } from './difference.ts';
import { digestOfText } from './digests.ts';
import type { LogTail } from './tail.ts';

/** A record's place in Redis, and what stands there. */
export interface PlacedRecord {
  readonly generation: number;
  readonly bucket: number;
  readonly record: StoredRecord;
}

/** A stock operation that PostgreSQL knows. */
export interface DoneOperation {
  readonly id: string;
  readonly generation: number;
  readonly fingerprint: string;
  readonly createdS: number;
}

export function showCell(cell: CellBalances | undefined): string {
  if (cell === undefined) return 'nothing';
  const { available, reserved, allocated, version } = cell;
  return `${available} available, ${reserved} reserved, ${allocated} allocated, version ${version}`;
}

export function isSameCell(
  one: CellBalances | undefined,
  other: CellBalances | undefined,
): boolean {
  return (
    one?.version === other?.version &&
    one?.available === other?.available &&
    one?.reserved === other?.reserved &&
    one?.allocated === other?.allocated
  );
}

export function compareCell(
  where: string,
  redis: CellBalances | undefined,
  expected: CellBalances | undefined,
): Found[] {
  if (isSameCell(redis, expected)) return [];
  return [
    {
      invariant: expected === undefined ? 'I5' : 'I4',
      where,
      redis: showCell(redis),
      postgres: showCell(expected),
      explanation: explainCell(redis, expected),
    },
  ];
}

function explainCell(redis?: CellBalances, expected?: CellBalances): string {
  if (expected === undefined) return 'Redis has a cell that PostgreSQL and the log do not know';
  if (redis === undefined) return 'Redis lost a cell';
  if (redis.version === expected.version) return 'the balances differ at the same version';
  return redis.version < expected.version
    ? 'Redis is behind: it lost a write'
    : 'PostgreSQL is behind: a write never reached the log';
}

/**
 * What stands in a generation under an id after the changes since the snapshot; `stored` is what
 * PostgreSQL has of the id, the newest first. Only the newest changes; an older one that a client's
 * id was used for before stays as it was.
 */
export function expectedAfter(
  stored: readonly FoldedReservation[],
  tail: LogTail,
  id: string,
  generation: number,
): FoldedReservation | undefined {
  const older = stored.slice(1).find((each) => each.generation === generation);
  if (older !== undefined && stored[0]?.generation !== generation) return older;
  let after = stored[0];
  // The fold over the whole log judges the steps; here only their result counts.
  const rules = { windowMs: 0, complete: false };
  for (const { change, entry } of tail.changesOf(id)) {
    after = advance(after, change, entry, rules).after ?? after;
  }
  return after;
}

export function showReservation(reservation: FoldedReservation | undefined): string {
  if (reservation === undefined) return 'nothing';
  const { state, version, generation } = reservation;
  return `${state}, version ${version}, day ${generation}${showUnits(reservation.units)}`;
}

export function showRecord(placed: PlacedRecord | undefined): string {
  if (placed === undefined) return 'nothing';
  const { state, version, lines = [] } = placed.record;
  const counted = version === undefined ? '' : `, version ${version}`;
  return `${state}${counted}, day ${placed.generation}${showUnits(lines)}`;
}

function showUnits(units: readonly HeldUnits[]): string {
  const shown = [...units]
    .filter((held) => held.units > 0)
    .map(({ line, sku, field, units: count }) => `line ${line}: ${count} of ${sku} ${field}`)
    .sort();
  return shown.length === 0 ? '' : `; ${shown.join('; ')}`;
}

/** Whatever their order, which is mostly the same. */
export function isSameUnits(some: readonly HeldUnits[], others: readonly HeldUnits[]): boolean {
  const isAlike =
    some.length === others.length && some.every((one, i) => isSameLine(one, others[i]));
  return isAlike || showUnits(some) === showUnits(others);
}

function isSameLine(one: HeldUnits, other: HeldUnits | undefined): boolean {
  return (
    one.line === other?.line &&
    one.units === other.units &&
    one.sku === other.sku &&
    one.field === other.field
  );
}

/**
 * Like digests are of like reservations, but for chance. The same units in another order have
 * another digest: what it does not find equal, words decide (`describeReservation`).
 */
export function digestOfReservation(reservation: FoldedReservation): number {
  const { id, generation, state, version, createdMs, fingerprint } = reservation;
  const { commitFingerprint, closedBy = '', operations } = reservation;
  const deadlineS = state === 'held' ? reservation.deadlineS : 0;
  let text = `${id} ${generation} ${state} ${version} ${Math.floor(createdMs / 1000)} ${fingerprint}`;
  text += ` ${deadlineS} ${commitFingerprint} ${closedBy} ${operations.join(' ')}`;
  for (const { line, sku, field, units } of reservation.units) {
    if (units > 0) text += `;${line} ${units} ${sku} ${field}`;
  }
  return digestOfText(text);
}

/** All that the log and PostgreSQL must say alike. */
export function describeReservation(reservation: FoldedReservation | undefined): string {
  if (reservation === undefined) return 'nothing';
  const { createdMs, fingerprint, state, deadlineS, commitFingerprint } = reservation;
  const { closedBy, operations } = reservation;
  const deadline = state === 'held' ? `, deadline ${deadlineS}` : '';
  const settled = operations.length === 0 ? '' : `, settlements ${operations.join(' ')}`;
  const own = `created ${Math.floor(createdMs / 1000)}, fingerprint ${fingerprint}`;
  const closed = closedBy === undefined ? '' : `, closed by ${closedBy}`;
  const commit = commitFingerprint === 0 ? '' : `, commit ${commitFingerprint}`;
  return `${showReservation(reservation)}; ${own}${deadline}${commit}${closed}${settled}`;
}

/** `redis` undefined: Redis does not have it, though it should. */
export function compareReservation(
  id: string,
  redis: PlacedRecord | undefined,
  expected: FoldedReservation | undefined,
): Found[] {
  const wrong = redis && expected && disagreements(redis, expected);
  if (wrong?.length === 0) return [];
  const where = `reservation ${id}`;
  const said = { where, redis: showRecord(redis), postgres: showReservation(expected) };
  if (redis === undefined) {
    if (expected === undefined) return [];
    const invariant = expected.state === 'held' ? 'I4' : 'I3';
    return [{ ...said, invariant, explanation: 'Redis lost the record' }];
  }
  if (expected === undefined) {
    const explanation = 'Redis has a reservation that PostgreSQL and the log do not know';
    return [{ ...said, invariant: 'I5', explanation }];
  }
  return [{ ...said, invariant: 'I4', explanation: wrong?.join('; ') ?? '' }];
}

function disagreements(redis: PlacedRecord, expected: FoldedReservation): string[] {
  const { record } = redis;
  const wrong: string[] = [];
  const check = (what: string, there: string | number, here: string | number | undefined) => {
    if (there !== here) wrong.push(`${what} is ${there}, ${here} expected`);
  };
  check('state', record.state, expected.state);
  check('day', redis.generation, expected.generation);
  check('fingerprint', record.fingerprint, expected.fingerprint);
  check('created', record.createdS, Math.floor(expected.createdMs / 1000));
  if (record.state !== expected.state) return wrong;
  if (record.version !== undefined) check('version', record.version, expected.version);
  if (record.deadlineS !== undefined) check('deadline', record.deadlineS, expected.deadlineS);
  if (record.commitFingerprint !== undefined) {
    check('commit fingerprint', record.commitFingerprint, expected.commitFingerprint);
  }
  if (record.closedBy !== undefined) check('closed by', record.closedBy, expected.closedBy);
  if (record.operations !== undefined) {
    const said = (keys: readonly string[]): string => keys.join(' ') || 'none';
    check('settlements', said(record.operations), said(expected.operations));
  }
  if (record.lines !== undefined && !isSameUnits(record.lines, expected.units)) {
    wrong.push('its units differ');
  }
  return wrong;
}

export function compareOperation(
  id: string,
  redis: PlacedRecord | undefined,
  expected: DoneOperation | undefined,
): Found[] {
  const where = `stock operation ${id}`;
  const said = {
    where,
    redis: redis === undefined ? 'nothing' : `done, day ${redis.generation}`,
    postgres: expected === undefined ? 'nothing' : `done, day ${expected.generation}`,
  };
  if (redis === undefined && expected === undefined) return [];
  if (redis === undefined) {
    const explanation = 'Redis forgot that it was done: a retry would do it again';
    return [{ ...said, invariant: 'I3', explanation }];
  }
  if (expected === undefined) {
    const explanation = 'Redis says that it was done, PostgreSQL and the log do not know it';
    return [{ ...said, invariant: 'I5', explanation }];
  }
  const same =
    redis.generation === expected.generation &&
    redis.record.fingerprint === expected.fingerprint &&
    redis.record.createdS === expected.createdS;
  return same ? [] : [{ ...said, invariant: 'I3', explanation: 'the marks of it differ' }];
}
