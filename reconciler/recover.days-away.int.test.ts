/** A Redis that lost its tail just after days without an engine: a hold of then has ended in the tail. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { asSku } from '../engine/domain/ids.ts';
import { packId } from '../engine/domain/reservation-id.ts';
import type { Lane } from '../engine/redis/lane-port.ts';
import { reserve } from '../engine/redis/testing/test-lane.ts';
import { runAudit } from './audit/audit.ts';
import { loseTail } from './testing/forge.ts';
import { startEmbedded } from './testing/logs.ts';
import { detailOf, recoverOnce, recoveryDeps, type TestLog } from './testing/recovering.ts';
import { connectLane, KEYS, receive, type Stack, startStack, submit } from './testing/stack.ts';

let stack: Stack;
let log: TestLog;
beforeEach(async () => {
  stack = await startStack();
  log = await startEmbedded(stack);
});
afterEach(async () => {
  await log.end();
  await stack.end();
});

const recovered = async () => {
  const report = await recoverOnce(recoveryDeps(stack, log, {}));
  if (report.outcome !== 'opened') throw new Error(`${report.outcome}: ${report.reason}`);
  return report;
};
const cellOf = async (lane: Lane) => {
  const view = await lane.availability([asSku('X')]);
  if (view.outcome !== 'applied') throw new Error(view.outcome);
  const [cell] = view.skus[0]?.cells ?? [];
  return [cell?.available, cell?.reserved];
};
const hold = (lane: Lane) => submit(lane, reserve(packId('key'), { 'X@A': 3 }, { ttlS: 60 }));

it.each([
  { days: 5, isHeldAgain: false, left: [10, 0] },
  { days: 2, isHeldAgain: true, left: [7, 3] },
])(
  'does not let a hold of $days days ago expire twice (its key in use again: $isHeldAgain)',
  async ({ days, isHeldAgain, left }) => {
    await recovered();
    const lane = connectLane(stack.redis);
    await receive(lane, { 'X@A': 10 });
    expect((await hold(lane)).outcome).toBe('created');
    await log.bringToPostgres();
    await stack.redis.hincrby(KEYS.meta, 'offset', days * 86_400_000);
    // The first entry of the new day stays, the sweep behind it is lost.
    await receive(lane, { 'Y@A': 1 });
    await log.bringToPostgres();
    await loseTail(stack, async () => {
      expect(await lane.expire(1_000)).toMatchObject({ expired: 1 });
      if (isHeldAgain) expect((await hold(lane)).outcome).toBe('created');
      await log.bringToPostgres();
    });
    expect(detailOf(await recovered(), 'copy')).toMatchObject({ what: 'everything' });
    const after = connectLane(stack.redis);
    expect(await after.expire(1_000)).toMatchObject({ expired: 0 });
    expect(await cellOf(after)).toEqual(left);
    await log.bringToPostgres();
    const { differences } = await runAudit({ redis: stack.redis, pool: stack.database.pool });
    expect(differences).toEqual([]);
  },
);
