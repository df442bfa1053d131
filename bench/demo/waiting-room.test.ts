import { describe, expect, it } from 'vitest';
import { WaitingRoom } from './waiting-room.ts';

describe('WaitingRoom', () => {
  it('lets in so many at once, the others in their order', async () => {
    let nowMs = 0;
    const room = new WaitingRoom(2, () => nowMs);
    const entered: number[] = [];
    const all = [0, 1, 2, 3, 4].map(async (n) => {
      await room.enter();
      entered.push(n);
    });
    await Promise.all(all.slice(0, 2));
    expect(entered).toEqual([0, 1]);
    expect(room.waiting).toBe(3);
    nowMs = 100;
    room.leave();
    await all[2];
    nowMs = 300;
    room.leave();
    room.leave();
    await Promise.all(all);
    expect(entered).toEqual([0, 1, 2, 3, 4]);
    expect(room.waiting).toBe(0);
    expect(room.history).toEqual({ waited: 3, longestMs: 300 });
  });

  it('has room again when all have left', async () => {
    const room = new WaitingRoom(1);
    for (let n = 0; n < 3; n += 1) {
      await room.enter();
      room.leave();
    }
    expect(room.history).toEqual({ waited: 0, longestMs: 0 });
  });
});
