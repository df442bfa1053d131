import type { LaneState } from '../lane-state.ts';

/** The entries of a lane's stream, oldest first. One look gives no more than Redis may be held up for. */
export async function wholeLog(state: Pick<LaneState, 'tail'>): Promise<Buffer[]> {
  const all: Buffer[] = [];
  let after = { epoch: 0, seq: 0 };
  for (;;) {
    const { entries } = await state.tail(after, 1_000);
    const last = entries.at(-1);
    if (last === undefined) return all;
    all.push(...entries.map(({ bytes }) => bytes));
    after = last;
  }
}
