/**
 * The history against PostgreSQL's reservations: is everything there that was acknowledged (I2), once
 * (I3), nothing that nobody asked for (I5), and did nobody hear a final no of what then was done (I7)?
 */
import type { Asked } from './asked.ts';
import { acknowledgedLevels, hasOutcome, mayBeDone } from './asked.ts';
import type { FinalState, StoredReservation } from './final-state.ts';
import { HOLD_TTL_S } from './history.ts';
import type { FaultViolation, LevelCount, Promised } from './verdict.ts';
import { LEVELS, rank } from './verdict.ts';

export interface Promises {
  readonly violations: FaultViolation[];
  readonly levels: LevelCount[];
}

/** After these a client gives the money back. */
const FINAL_NOS: ReadonlySet<string> = new Set([
  'hold_lost',
  'expired',
  'not_found',
  'already_released',
]);
const COMMITTED: ReadonlySet<string> = new Set(['committed', 'closed']);

/** `survives`: the weakest level that promised to survive the fault. */
export function checkPromises(
  asked: readonly Asked[],
  state: FinalState,
  survives: string,
): Promises {
  const rows = byId(state.postgres.reservations);
  const counts = new Map<string, { acknowledged: number; lost: number }>();
  const violations: FaultViolation[] = [];
  for (const each of asked) {
    const isThere = promisedIsThere(each, rows, state);
    if (isThere === undefined) continue;
    const strongest = acknowledgedLevels(each).sort((a, b) => rank(b) - rank(a))[0];
    if (strongest === undefined) continue;
    const key = `${each.verb} ${strongest}`;
    const count = counts.get(key) ?? { acknowledged: 0, lost: 0 };
    counts.set(key, count);
    count.acknowledged += 1;
    if (isThere) continue;
    count.lost += 1;
    if (rank(strongest) < rank(survives)) continue;
    const now = rows.get(each.id ?? '')?.at(-1)?.status ?? 'not there';
    violations.push({
      invariant: 'I2',
      where: `${each.verb} ${each.intent} (${each.id ?? 'no id'})`,
      what: `was acknowledged at ${strongest}, which promised to survive; it is ${now}`,
    });
  }
  violations.push(
    ...checkOnce(rows),
    ...checkPhantoms(asked, state.postgres.reservations),
    ...checkOneWinner(asked, rows),
    ...checkExpiries(asked),
  );
  return { violations, levels: levelCounts(counts, survives) };
}

/** Undefined for what promises nothing. */
function promisedIsThere(
  asked: Asked,
  rows: ReadonlyMap<string, readonly StoredReservation[]>,
  state: FinalState,
): boolean | undefined {
  if (!hasOutcome(asked, 'ok')) return undefined;
  const of = rows.get(asked.id ?? '') ?? [];
  switch (asked.verb) {
    case 'receive':
      return asked.lines.every(
        ({ sku, quantity }) => (state.postgres.received.get(sku) ?? 0) >= quantity,
      );
    case 'reserve':
      return of.length > 0;
    case 'commit':
      return of.some(({ status }) => COMMITTED.has(status));
    case 'release':
      return of.some(({ status }) => status === 'released');
    case 'look_up':
      return undefined;
  }
}

function checkOnce(rows: ReadonlyMap<string, readonly StoredReservation[]>): FaultViolation[] {
  return [...rows].flatMap(([id, of]) =>
    of.length === 1
      ? []
      : [
          {
            invariant: 'I3' as const,
            where: `reservation ${id}`,
            what: `was made ${of.length} times: ${of.map(({ createdEpoch, createdSeq, status }) => `${createdEpoch}-${createdSeq} ${status}`).join(', ')}`,
          },
        ],
  );
}

function checkPhantoms(
  asked: readonly Asked[],
  reservations: readonly StoredReservation[],
): FaultViolation[] {
  const wanted = new Map(
    asked.filter(({ verb }) => verb === 'reserve').map((each) => [each.intent, each]),
  );
  return reservations.flatMap((row) => {
    const where = `reservation ${row.id}`;
    const of = wanted.get(row.orderId ?? '');
    if (of === undefined) {
      return [
        { invariant: 'I5' as const, where, what: `order ${row.orderId}: nobody asked for it` },
      ];
    }
    if (!mayBeDone(of)) {
      const what = `order ${row.orderId}: every attempt was answered with "nothing was done"`;
      return [{ invariant: 'I5' as const, where, what }];
    }
    const isSame = of.lines.every(({ sku, quantity }) =>
      row.lines.some((line) => line.sku === sku && line.requested === quantity),
    );
    if (isSame && of.lines.length === row.lines.length) return [];
    return [
      { invariant: 'I5' as const, where, what: 'its lines are not those that were asked for' },
    ];
  });
}

/** Commit and release of one reservation have one winner, and a no is never taken back. */
function checkOneWinner(
  asked: readonly Asked[],
  rows: ReadonlyMap<string, readonly StoredReservation[]>,
): FaultViolation[] {
  const done = new Map<string, Set<string>>();
  const violations: FaultViolation[] = [];
  for (const each of asked) {
    if (each.id === undefined) continue;
    if (each.verb !== 'commit' && each.verb !== 'release') continue;
    if (hasOutcome(each, 'ok')) {
      const verbs = done.get(each.id) ?? new Set();
      done.set(each.id, verbs.add(each.verb));
    }
    if (each.verb !== 'commit') continue;
    const no = each.attempts.find(
      ({ result }) => result?.outcome === 'refused' && FINAL_NOS.has(result.code),
    );
    const isCommitted = (rows.get(each.id) ?? []).some(({ status }) => COMMITTED.has(status));
    if (no === undefined || !isCommitted) continue;
    const what = `the client was told ${no.result?.code} (and refunds), but it is committed`;
    violations.push({ invariant: 'I7', where: `reservation ${each.id}`, what });
  }
  for (const [id, verbs] of done) {
    if (verbs.size < 2) continue;
    const what = `both ${[...verbs].join(' and ')} were acknowledged`;
    violations.push({ invariant: 'I7', where: `reservation ${id}`, what });
  }
  return violations;
}

/** A hold lives as long as it was promised: from when its reserve was first asked for, at the least. */
function checkExpiries(asked: readonly Asked[]): FaultViolation[] {
  const reserves = new Map(
    asked.filter(({ verb }) => verb === 'reserve').map((each) => [each.intent, each]),
  );
  return asked.flatMap((each) => {
    const reserve = reserves.get(each.intent);
    const ttlS = reserve?.attempts[0]?.ttlS ?? HOLD_TTL_S;
    const no = each.attempts.find(({ result }) => result?.code === 'expired');
    if (reserve === undefined || no?.endedMs === undefined) return [];
    const livedMs = no.endedMs - reserve.firstMs;
    if (livedMs >= ttlS * 1_000) return [];
    const what = `expired ${Math.round(livedMs)} ms after it was asked for, for ${ttlS} s`;
    return [{ invariant: 'I7' as const, where: `${each.verb} ${each.intent}`, what }];
  });
}

function byId(rows: readonly StoredReservation[]): Map<string, StoredReservation[]> {
  const map = new Map<string, StoredReservation[]>();
  for (const row of rows) {
    const of = map.get(row.id);
    if (of === undefined) map.set(row.id, [row]);
    else of.push(row);
  }
  return map;
}

const PROMISED: readonly Promised[] = ['receive', 'reserve', 'commit', 'release'];

function levelCounts(
  counts: ReadonlyMap<string, { readonly acknowledged: number; readonly lost: number }>,
  survives: string,
): LevelCount[] {
  return PROMISED.flatMap((verb) =>
    LEVELS.flatMap((level) => {
      const count = counts.get(`${verb} ${level}`);
      return count === undefined
        ? []
        : [{ verb, level, ...count, promised: rank(level) >= rank(survives) }];
    }),
  );
}
