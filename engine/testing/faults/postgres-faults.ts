/** PostgreSQL fails over to a standby that is behind: what was committed there last is gone. */
import type { Fault, FaultContext } from './fault.ts';
import { placeIn, redisPlace } from './read-state.ts';

/** Sold while the standby hears nothing. */
const SOLD_BEHIND = 60;
const BEYOND_MS_MAX = 30_000;

const PAIR = { postgres: 'pair' } as const;

export const POSTGRES_FAULTS: readonly Fault[] = [
  {
    name: 'postgres_promoted_behind',
    group: 'around',
    what: "PostgreSQL's standby is cut off and falls behind, the primary dies, and the standby is promoted as it is",
    survives: 'memory',
    isFresh: true,
    stack: PAIR,
    inject: promoteBehind,
  },
  {
    name: 'postgres_promoted_behind_redis_lost',
    group: 'around',
    what: 'the same, and then FLUSHALL on the primary Redis: only Kafka has what the standby lacks',
    survives: 'logged',
    because: 'all Redis memory is gone, on every node',
    logs: ['kafka'],
    isFresh: true,
    stack: PAIR,
    async inject(context) {
      await promoteBehind(context);
      context.strike();
      await (await context.stack.primary()).flushall();
      context.note('all Redis memory is gone');
      await context.sell(20);
    },
  },
];

async function promoteBehind(context: FaultContext): Promise<void> {
  const { stack, note } = context;
  const { postgresPair: pair } = stack;
  if (pair === undefined) throw new Error('the stack has no standby of PostgreSQL');
  await pair.pauseReplay();
  const { seq } = await redisPlace(await stack.primary());
  await context.sell(SOLD_BEHIND);
  const behind = await entriesBeyond(context, seq);
  context.strike();
  await pair.primary.kill('SIGKILL');
  await pair.promote();
  note(`the standby is promoted, at least ${behind} entries behind`);
  await context.sell(20);
}

/** How far PostgreSQL has gone beyond an entry of the epoch; waits until it has. */
async function entriesBeyond({ stack, sleep }: FaultContext, seq: number): Promise<number> {
  const deadlineMs = performance.now() + BEYOND_MS_MAX;
  for (;;) {
    const { seq: applied } = await placeIn(stack.pool);
    if (applied > seq) return applied - seq;
    if (performance.now() > deadlineMs) throw new Error('PostgreSQL does not go on');
    await sleep(20);
  }
}
