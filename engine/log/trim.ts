/** The script removes a bounded piece at a time, so that Redis is never blocked for long. */
import type { LaneState } from '../redis/lane-state.ts';
import type { Place } from './place.ts';

/** 64 pieces of 256 entries: far more than a lane writes between two trims. */
const PIECES_MAX = 64;

/** Removes what may go; says how many entries it was. A lane that is closed keeps everything. */
export async function trimAll(
  state: Pick<LaneState, 'trim'>,
  persisted: Place,
  marginMs: number,
): Promise<number> {
  let total = 0;
  for (let i = 0; i < PIECES_MAX; i++) {
    const removed = await state.trim(persisted, marginMs);
    if (removed <= 0) break;
    total += removed;
  }
  return total;
}
