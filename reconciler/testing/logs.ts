/** The logs that the tests of recovery run over. */
import { pino } from 'pino';
import { isSameEntry } from '../../engine/log/place.ts';
import { createRedisLogSource } from '../../engine/log/redis-log.ts';
import { readPosition } from '../../engine/postgres/position.ts';
import { createEmbeddedLog } from '../../persister/embedded-log.ts';
import { createPersister, type Persister } from '../../persister/persister.ts';
import type { TestLog } from './recovering.ts';
import { LANE, type Stack } from './stack.ts';

/** The lane is closed, or the log has a gap. */
const LEVEL_TIMEOUT_MS = 10_000;
const NO_LOG = pino({ level: 'silent' });

export const LOGS = [{ name: 'embedded', start: startEmbedded }] as const;

/** The persister works only when a test says so: what it has not read yet is the tail. */
async function startEmbedded(stack: Stack): Promise<TestLog> {
  const { pool } = stack.database;
  const source = createRedisLogSource(stack.state);
  return {
    fencedLog: createEmbeddedLog({ pool }),
    bringToPostgres: async () => {
      const persister = createPersister({
        ...{ pool, lane: LANE, source, form: 'stream', state: stack.state, log: NO_LOG },
        limits: { trimEveryMs: Number.MAX_SAFE_INTEGER, idleMs: 1, gatherMs: 0 },
      });
      try {
        await untilLevel(stack, persister);
      } finally {
        await persister.run(AbortSignal.abort());
      }
    },
    end: () => source.close(),
  };
}

async function untilLevel(stack: Stack, persister: Persister): Promise<void> {
  const deadlineMs = performance.now() + LEVEL_TIMEOUT_MS;
  while (!(await isLevel(stack))) {
    const { did } = await persister.runOnce();
    if (performance.now() < deadlineMs) continue;
    const { parked } = await readPosition(stack.database.pool, LANE);
    throw new Error(`not level, the persister did ${did}: ${parked ?? 'the lane is closed'}`);
  }
}

async function isLevel(stack: Stack): Promise<boolean> {
  const { last } = await stack.state.tail({ epoch: Number.MAX_SAFE_INTEGER, seq: 0 }, 1);
  return isSameEntry(last, await readPosition(stack.database.pool, LANE));
}
