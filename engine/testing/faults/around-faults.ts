/** Faults of what stands around Redis, and races that need no fault at all. */
import type { Fault, FaultContext } from './fault.ts';
import type { Invocation } from './history.ts';
import { raceExpiry } from './race-loop.ts';

/** PostgreSQL is away for longer than a cut lasts: 60 s where a cut is 15. */
const POSTGRES_FACTOR = 4;
const KAFKA_AWAY_MS = 3_000;
const STORM_HOLDS = 2_000;
const STORM_TTL_S = 4;
const AT_ONCE = 64;
const RACES = 1_000;
const RACERS = 256;

export const AROUND_FAULTS: readonly Fault[] = [
  {
    name: 'kafka_restarted',
    group: 'around',
    what: `SIGKILL to Kafka, and started again ${KAFKA_AWAY_MS / 1_000} s later`,
    survives: 'memory',
    logs: ['kafka'],
    keepsSelling: true,
    async inject({ stack, sleep }) {
      await stack.kafka?.kill('SIGKILL');
      // Shoppers who wait for a commit at `logged` buy nothing else meanwhile.
      await sleep(KAFKA_AWAY_MS);
      await stack.kafka?.start();
    },
  },
  {
    name: 'postgres_down',
    group: 'around',
    what: 'SIGKILL to PostgreSQL, away for four times the time of a cut, and started again',
    survives: 'memory',
    keepsSelling: true,
    stack: { postgres: 'own' },
    async inject({ stack, sleep, holdMs, note }) {
      await stack.postgres?.kill('SIGKILL');
      await sleep(holdMs * POSTGRES_FACTOR);
      await stack.postgres?.start();
      note('PostgreSQL is back');
    },
  },
  {
    name: 'expiry_storm',
    group: 'around',
    what: `${STORM_HOLDS} holds run out at about the time at which the primary dies`,
    survives: 'replicated',
    async inject(context) {
      const { stack } = context;
      const until = await reserveMany(context, 'storm', STORM_HOLDS, STORM_TTL_S);
      const node = await stack.group.primary();
      // Somewhere between half a second before and as much behind the deadline of the last one.
      await context.sleep(Math.max(0, until - performance.now() - 500 + context.random() * 1_000));
      context.strike();
      await node.kill('SIGKILL', 'data');
      await context.failedOver(node.index);
      await context.sell(20);
      await node.restart();
    },
  },
  {
    name: 'commit_against_expiry',
    group: 'around',
    what: 'holds of two seconds, each committed within a moment of its deadline, from both sides: one of the two wins',
    survives: 'memory',
    keepsSelling: true,
    inject: (context) =>
      raceExpiry({
        clients: { old: context.client('old'), new: context.client('new') },
        sku: context.skus.ample,
        races: RACES,
        racers: RACERS,
        intent: (n) => context.intent(`race-${n}`),
        random: context.random,
        aim: { offsetMs: 0 },
      }),
  },
];

/** Holds that nobody settles; returns when the last one's time is up, on this process's clock. */
async function reserveMany(
  context: FaultContext,
  name: string,
  count: number,
  ttlS: number,
): Promise<number> {
  let next = 0;
  const client = context.client('new');
  const reserveSome = async (): Promise<void> => {
    while (next < count) {
      const intent = context.intent(`${name}-${next++}`);
      await client.decide(holdOf(context, intent, ttlS), () => false);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, reserveSome));
  return performance.now() + ttlS * 1_000;
}

function holdOf({ skus }: FaultContext, intent: string, ttlS: number): Invocation {
  const lines = [{ sku: skus.ample, quantity: 1 }];
  return { client: 'race', verb: 'reserve', intent, id: `c.${intent}`, lines, ttlS };
}
