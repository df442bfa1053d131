import { describe, expect, it } from 'vitest';
import { startWorker } from './worker.ts';

describe('a worker', () => {
  it('turns at once while there is more, survives a turn that fails, and stops when told', async () => {
    const turns: string[] = [];
    const errors: unknown[] = [];
    let reachThird = (): void => undefined;
    const third = new Promise<void>((resolve) => {
      reachThird = resolve;
    });
    const worker = startWorker({
      name: 'w',
      pauseMs: 1,
      pauseMsMax: 5,
      onError: (name, error) => errors.push([name, (error as Error).message]),
      runOnce: async () => {
        turns.push('turn');
        if (turns.length === 2) throw new Error('broken');
        if (turns.length === 3) reachThird();
        return turns.length === 1;
      },
    });
    await third;
    await worker.stop();
    const stopped = turns.length;
    expect(errors).toEqual([['w', 'broken']]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(turns).toHaveLength(stopped);
  });
});
