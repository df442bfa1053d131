/** Names that the scripts may use as `GROUP.name`; the build puts the numbers in their place. */
import { OUTCOMES } from '../engine/domain/outcome.ts';
import {
  BLOCK_BUCKETS,
  BUCKET_DIGITS,
  CART_BYTES,
  CART_HEAD_BYTES,
  CART_HEAD_FLAG,
  DUE_REFS,
  GENERATIONS_BACK,
  PLACE_BYTES,
} from '../engine/domain/reservation-id.ts';
import {
  CART_CELLS_MAX,
  CELLS_AT_ONCE,
  SCRIPT_WORK_MAX,
  TAIL_BYTES,
} from '../engine/domain/script-limits.ts';

export const FENCE_REASONS = ['no_meta', 'replid', 'closed', 'behind_caller', 'half_done'] as const;

export const OPERATION_KINDS = [
  'reserve',
  'commit',
  'release',
  'extend',
  'cancel',
  'ship',
  'inspect',
] as const;

export const LUA_CONSTANTS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  OUTCOME: Object.fromEntries(
    Object.entries(OUTCOMES)
      .filter(([, row]) => row.code > 0)
      .map(([name, row]) => [name, row.code]),
  ),
  FENCE: Object.fromEntries(FENCE_REASONS.map((name, i) => [name, i + 1])),
  KIND: Object.fromEntries(OPERATION_KINDS.map((name, i) => [name, i + 1])),
  LIMIT: {
    block_buckets: BLOCK_BUCKETS,
    bucket_digits: BUCKET_DIGITS,
    cart_bytes: CART_BYTES,
    cart_cells: CART_CELLS_MAX,
    cart_head_bytes: CART_HEAD_BYTES,
    cart_head_flag: CART_HEAD_FLAG,
    cells_at_once: CELLS_AT_ONCE,
    due_refs: DUE_REFS,
    generations_back: GENERATIONS_BACK,
    place_bytes: PLACE_BYTES,
    tail_bytes: TAIL_BYTES,
    work: SCRIPT_WORK_MAX,
  },
  STATE: { held: 1, committed: 2, released: 3, expired: 4, closed: 5, operation: 9 },
};
