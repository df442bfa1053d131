/**
 * Does what one store says agree with the other? Pure. Redis was read at S, PostgreSQL at T: the
 * shell (settle.ts) reads them in turn, S1 <= T1 <= S2 <= T2, because each alone runs ahead of what
 * was read before. What did not move over two looks at each, and does not agree, is drift.
 */
import type { RedisCell, RedisRecord, StoredCell, StoredRecord } from './facts.ts';
import { sameBalances } from './facts.ts';

/** Equal versions and equal values; nothing on both sides agrees too. */
export function cellsAgree(redis: RedisCell, stored: StoredCell | undefined): boolean {
  if (redis.kind === 'absent') return stored === undefined;
  if (redis.kind === 'unreadable' || stored === undefined) return false;
  return redis.cell.version === stored.version && sameBalances(redis.cell, stored);
}

/** PostgreSQL's row, spelled as Redis spells it, must be what stands there, byte for byte. */
export function recordsAgree(redis: RedisRecord, stored: StoredRecord | undefined): boolean {
  if (redis.kind === 'absent') return stored === undefined;
  if (stored === undefined) return false;
  return redis.bytes.equals(stored.bytes);
}

export type Verdict =
  | 'agree'
  /** It moved between the looks: look again. */
  | 'moved'
  /** Two looks at each store saw the same, and it does not agree. */
  | 'drift';

/** Two looks at each store, in turn. */
type TwoLooks<Redis, Stored> = readonly [
  redis: readonly [Redis, Redis],
  stored: readonly [Stored | undefined, Stored | undefined],
];

export function judgeCell(...looks: TwoLooks<RedisCell, StoredCell>): Verdict {
  return judge(looks, cellsAgree, sameStoredCell);
}

export function judgeRecord(...looks: TwoLooks<RedisRecord, StoredRecord>): Verdict {
  return judge(looks, recordsAgree, sameStoredRecord);
}

function judge<Redis extends RedisCell | RedisRecord, Stored>(
  [redis, stored]: TwoLooks<Redis, Stored>,
  agree: (redis: Redis, stored: Stored | undefined) => boolean,
  same: (a: Stored | undefined, b: Stored | undefined) => boolean,
): Verdict {
  const pairs = [
    [redis[0], stored[0]],
    [redis[1], stored[0]],
    [redis[1], stored[1]],
  ] as const;
  if (pairs.some(([r, p]) => agree(r, p))) return 'agree';
  return sameRedisBytes(redis[0], redis[1]) && same(stored[0], stored[1]) ? 'drift' : 'moved';
}

function sameStoredRecord(a: StoredRecord | undefined, b: StoredRecord | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.bytes.equals(b.bytes);
}

type Bytes = { readonly kind: string; readonly bytes?: Buffer };

function sameRedisBytes(a: Bytes, b: Bytes): boolean {
  if (a.bytes === undefined || b.bytes === undefined) return a.bytes === b.bytes;
  return a.bytes.equals(b.bytes);
}

function sameStoredCell(a: StoredCell | undefined, b: StoredCell | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.version === b.version && sameBalances(a, b) && a.epoch === b.epoch && a.seq === b.seq;
}
