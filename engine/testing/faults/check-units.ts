/**
 * Units: never more sold than there was (I1), the same in Redis and PostgreSQL and in the sum of the
 * reservations (I4), and "sold out" only when it was (I6).
 */
import type { Asked } from './asked.ts';
import { hasOutcome, mayBeDone, unitsOf } from './asked.ts';
import type { FinalState } from './final-state.ts';
import type { FaultViolation } from './verdict.ts';

export interface Units {
  readonly violations: FaultViolation[];
  readonly oversold: number;
}

export function checkUnits(asked: readonly Asked[], state: FinalState): Units {
  const skus = new Set(
    asked.filter(({ verb }) => verb === 'receive').flatMap(({ lines }) => lines.map((l) => l.sku)),
  );
  const violations: FaultViolation[] = [];
  let oversold = 0;
  for (const sku of skus) {
    const { most } = grantedOf(asked, sku);
    const beyond = acknowledgedUnits(asked, sku) - most;
    if (beyond > 0) {
      oversold += beyond;
      const what = `${beyond} units more were committed to clients than the ${most} there were`;
      violations.push({ invariant: 'I1', where: `SKU ${sku}`, what });
    }
    violations.push(
      ...checkCells(sku, state),
      ...checkReceived(asked, sku, state),
      ...checkSoldOut(asked, sku),
    );
  }
  violations.push(...checkRecords(state));
  return { violations, oversold };
}

/** Units that clients received: at least what was acknowledged, at most what was asked for. */
function grantedOf(asked: readonly Asked[], sku: string): { least: number; most: number } {
  const receipts = asked.filter(({ verb }) => verb === 'receive');
  const sum = (some: readonly Asked[]) =>
    some.reduce((units, { lines }) => units + unitsOf(lines, sku), 0);
  return {
    least: sum(receipts.filter((each) => hasOutcome(each, 'ok'))),
    most: sum(receipts.filter(mayBeDone)),
  };
}

/** Of the commits that were acknowledged, each reservation once. */
function acknowledgedUnits(asked: readonly Asked[], sku: string): number {
  const reserves = new Map(
    asked.filter(({ verb }) => verb === 'reserve').map((each) => [each.intent, each]),
  );
  return asked
    .filter((each) => each.verb === 'commit' && hasOutcome(each, 'ok'))
    .reduce((units, { intent }) => units + unitsOf(reserves.get(intent)?.lines ?? [], sku), 0);
}

function checkReceived(asked: readonly Asked[], sku: string, state: FinalState): FaultViolation[] {
  const { least, most } = grantedOf(asked, sku);
  const stored = state.postgres.received.get(sku) ?? 0;
  if (stored >= least && stored <= most) return [];
  const invariant = stored < least ? 'I2' : 'I3';
  const what = `${stored} units were received, clients know of ${least} to ${most}`;
  return [{ invariant, where: `SKU ${sku}`, what }];
}

function checkCells(sku: string, state: FinalState): FaultViolation[] {
  const violations: FaultViolation[] = [];
  const where = `cell of ${sku}`;
  const redis = state.redis.cells.get(sku);
  const postgres = state.postgres.cells.get(sku);
  const tell = (invariant: 'I1' | 'I4', what: string) =>
    violations.push({ invariant, where, what });
  if (redis === undefined || postgres === undefined) {
    if (redis !== postgres) {
      tell(
        'I4',
        `Redis ${redis ? 'has' : 'lacks'} it, PostgreSQL ${postgres ? 'has' : 'lacks'} it`,
      );
    }
    return violations;
  }
  for (const balance of ['available', 'reserved', 'allocated', 'version'] as const) {
    if (redis[balance] !== postgres[balance]) {
      tell('I4', `${balance} is ${redis[balance]} in Redis and ${postgres[balance]} in PostgreSQL`);
    }
    if (postgres[balance] < 0 || redis[balance] < 0) tell('I1', `${balance} is below zero`);
  }
  if (postgres.suspect !== null) tell('I4', `PostgreSQL suspects it: ${postgres.suspect}`);
  const received = state.postgres.received.get(sku) ?? 0;
  const promised = postgres.reserved + postgres.allocated;
  if (promised > received) tell('I1', `${promised} units are promised of ${received}`);
  if (postgres.available + promised !== received) {
    tell('I4', `${postgres.available} available and ${promised} promised are not ${received}`);
  }
  for (const balance of ['reserved', 'allocated'] as const) {
    const units = unitsOfRows(state, sku, balance);
    if (units !== postgres[balance]) {
      tell('I4', `${postgres[balance]} units are ${balance}, its reservations have ${units}`);
    }
  }
  return violations;
}

function unitsOfRows(state: FinalState, sku: string, balance: 'reserved' | 'allocated'): number {
  return state.postgres.reservations
    .flatMap(({ lines }) => lines)
    .reduce((units, line) => (line.sku === sku ? units + line[balance] : units), 0);
}

/** The newest row of each id, and what Redis has under it. */
function checkRecords({ redis, postgres }: FinalState): FaultViolation[] {
  const newest = new Map(postgres.reservations.map((row) => [row.id, row.status]));
  const violations: FaultViolation[] = [];
  for (const [id, status] of newest) {
    const there = redis.records.get(id) ?? 'nothing';
    if (there === status) continue;
    const what = `is ${status} in PostgreSQL and ${there} in Redis`;
    violations.push({ invariant: 'I4', where: `reservation ${id}`, what });
  }
  for (const [id, there] of redis.records) {
    if (newest.has(id)) continue;
    const what = `is ${there} in Redis and not in PostgreSQL`;
    violations.push({ invariant: 'I4', where: `reservation ${id}`, what });
  }
  return violations;
}

/**
 * A "sold out" is wrong when even everything that might have been taken by then leaves enough. What
 * came back is not counted, so this never accuses wrongly, and an ample SKU can never be sold out.
 */
function checkSoldOut(asked: readonly Asked[], sku: string): FaultViolation[] {
  const { least } = grantedOf(asked, sku);
  const reserves = asked.filter(({ verb, lines }) => verb === 'reserve' && unitsOf(lines, sku) > 0);
  const takers = reserves.filter(mayBeDone);
  return reserves.flatMap((each) => {
    const isOnlyThis = each.lines.length === 1;
    const no = each.attempts.find(({ result }) => result?.code === 'insufficient');
    if (no?.endedMs === undefined || !isOnlyThis) return [];
    const endedMs = no.endedMs;
    const taken = takers
      .filter((taker) => taker !== each && taker.firstMs < endedMs)
      .reduce((units, { lines }) => units + unitsOf(lines, sku), 0);
    const left = least - taken;
    if (left < unitsOf(each.lines, sku)) return [];
    const what = `"sold out" was answered when at least ${left} units were there`;
    return [{ invariant: 'I6' as const, where: `${sku}, reserve ${each.intent}`, what }];
  });
}
