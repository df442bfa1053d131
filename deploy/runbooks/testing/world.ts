/**
 * What a runbook is run in: real servers and the whole of Holdfast, small sales going through it, and
 * the things that happen to it. The page's words name them.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { type Serving, startAll } from '../../../engine/cli/roles.ts';
import { decodeCell, encodeCell } from '../../../engine/events/cell-codec.ts';
import { hang } from '../../../engine/postgres/testing/hang.ts';
import { laneKeys } from '../../../engine/redis/keys.ts';
import { readConfig } from '../../../engine/runtime/config.ts';
import { createLogger } from '../../../engine/runtime/log.ts';
import { callUrl } from '../../../engine/testing/engine.ts';
import { startPostgresPair } from '../../../engine/testing/postgres-pair.ts';
import { startRedisGroup, type TestRedisGroup } from '../../../engine/testing/redis-group.ts';
import {
  startKafka,
  startPostgres,
  startRedis,
  type TestKafka,
  type TestPostgres,
  type TestRedis,
} from '../../../engine/testing/servers.ts';
import { currentTestRun, serverDirectory } from '../../../engine/testing/test-run.ts';

/** Longer than a queue may stand, shorter than a command may take. */
const STALL_MS = 3_000;
const SHOPPER_EVERY_MS = 50;
/** Fewer than there are units. */
const SHOPPERS_MAX = 60;

export interface World {
  /** For the commands of the page. */
  readonly env: Readonly<Record<string, string>>;
  /** Does what the page's comment says; throws when it is not known. */
  act(action: string): Promise<void>;
  end(): Promise<void>;
}

/** `sentinel`: a Redis group, else one Redis; `kafka`; `pair`: PostgreSQL with a standby. */
export async function openWorld(words: readonly string[]): Promise<World> {
  const ends: (() => Promise<unknown>)[] = [];
  const end = async (): Promise<void> => {
    for (const each of ends.splice(0).reverse()) await each();
  };
  try {
    return await buildWorld(words, ends, end);
  } catch (error) {
    await end();
    throw error;
  }
}

interface Servers {
  readonly group?: TestRedisGroup;
  readonly redis?: TestRedis;
  readonly kafka?: TestKafka;
  readonly postgres: TestPostgres;
  readonly pauseReplay?: () => Promise<void>;
}

type Ends = (() => Promise<unknown>)[];

async function startServers(
  words: readonly string[],
  env: Record<string, string>,
  ends: Ends,
): Promise<Servers> {
  const isGroup = words.includes('sentinel');
  const group = isGroup ? await startRedisGroup() : undefined;
  if (group !== undefined) {
    ends.push(() => group.stop());
    await group.settled();
    env.REDIS_URL = group.url;
    const sentinel = /@?([\d.]+):(\d+)/.exec(group.url);
    env.SENTINEL_HOST = sentinel?.[1] ?? '';
    env.SENTINEL_PORT = sentinel?.[2] ?? '';
    env.SENTINEL_NAME = group.master;
  }
  const redis = isGroup ? undefined : await startRedis();
  if (redis !== undefined) {
    ends.push(() => redis.stop());
    env.REDIS_URL = redis.url;
  }
  const kafka = words.includes('kafka') ? await startKafka() : undefined;
  if (kafka !== undefined) {
    ends.push(() => kafka.stop());
    env.KAFKA_BROKERS = kafka.brokers.join(',');
  }
  const pair = words.includes('pair') ? await startPostgresPair() : undefined;
  const postgres = pair?.primary ?? (await startPostgres());
  ends.push(() => (pair ?? postgres).stop());
  // As psql needs it, which otherwise takes the first host that answers; Holdfast reads it, too.
  env.DATABASE_URL =
    pair === undefined ? postgres.url : `${pair.url}?target_session_attrs=read-write`;
  if (pair !== undefined) env.STANDBY_URL = pair.standby.url;
  return {
    ...(group && { group }),
    ...(redis && { redis }),
    ...(kafka && { kafka }),
    postgres,
    ...(pair && {
      pauseReplay: () => pair.pauseReplay(),
    }),
  };
}

async function buildWorld(
  words: readonly string[],
  ends: Ends,
  end: () => Promise<void>,
): Promise<World> {
  const env: Record<string, string> = {
    KAFKA_BROKERS: '',
    BACKUP_DIRECTORY: serverDirectory(currentTestRun(), 'backup'),
    HOLDFAST_LOG_LEVEL: 'silent',
    HOLDFAST_PORT: '0',
  };
  const servers = await startServers(words, env, ends);
  const holdfast = new Holdfast(env);
  ends.push(() => holdfast.stop());
  await holdfast.start();
  await stockUp(holdfast);
  await holdfast.buy(3);
  const actions = actionsOf(servers, holdfast, env);
  return {
    env,
    async act(action) {
      const act = actions[action];
      if (act === undefined) {
        const known = Object.keys(actions).join('; ');
        throw new Error(`the world cannot do "${action}"; it can: ${known}`);
      }
      await act();
    },
    end,
  };
}

/** All processes of Holdfast, in this one. */
class Holdfast {
  readonly #env: Record<string, string>;
  #serving: Serving | undefined;

  constructor(env: Record<string, string>) {
    this.#env = env;
  }

  async start(): Promise<void> {
    const config = readConfig(this.#env);
    this.#serving = await startAll({ config, log: createLogger('runbook', config.logLevel) });
    this.#env.HOLDFAST_URL = this.#serving.url;
  }

  async stop(): Promise<void> {
    await this.#serving?.close();
    this.#serving = undefined;
  }

  call(method: string, path: string, body?: unknown) {
    return callUrl(this.#env.HOLDFAST_URL ?? '', method, `/api/v1/${path}`, body);
  }

  /** One by one, committed; asked again until it is decided. */
  async buy(units: number): Promise<void> {
    for (let bought = 0; bought < units; ) {
      const held = await this.call('POST', 'inventory/reserve', [{ sku_id: 'MUG', quantity: 1 }]);
      if (held.status !== 201) continue;
      const body = { reservation_id: held.body.reservation_id };
      const { status } = await this.call('POST', 'inventory/commit', body);
      if (status === 200) bought += 1;
    }
  }
}

async function stockUp(holdfast: Holdfast): Promise<void> {
  await holdfast.call('PUT', 'warehouses/LON', { name: 'London', time_zone: 'Europe/London' });
  await holdfast.call('PUT', 'products/MUG', { name: 'Mug' });
  const receipt = { sku_id: 'MUG', warehouse_id: 'LON', quantity: 100 };
  const { status, body } = await holdfast.call('POST', 'stock/receive', receipt);
  if (status !== 200) throw new Error(`no stock: ${status} ${JSON.stringify(body)}`);
}

type Actions = Readonly<Record<string, () => Promise<unknown>>>;

function actionsOf(servers: Servers, holdfast: Holdfast, env: Record<string, string>): Actions {
  return {
    'buy some': () => holdfast.buy(2),
    'stop the processes of Holdfast': () => holdfast.stop(),
    'start the processes of Holdfast': () => holdfast.start(),
    'a new topic is named': async () => {
      env.HOLDFAST_LOG_TOPIC = 'hf.log.2';
    },
    'more is asked than Redis answers': () => onRedis(env, (client) => overwhelm(client, holdfast)),
    ...redisActions(servers, env),
    ...postgresActions(servers, holdfast),
    'Kafka is killed': () => must(servers.kafka).kill('SIGKILL'),
    'Kafka is started': () => must(servers.kafka).start(),
  };
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the page names no world that has this');
  return value;
}

function redisActions({ group, redis }: Servers, env: Record<string, string>): Actions {
  let killed: { restart(): Promise<void> } | undefined;
  return {
    'the primary of Redis is killed': async () => {
      const primary = await must(group).primary();
      killed = primary;
      await primary.kill('SIGKILL', 'data');
    },
    'the old primary is started again': async () => {
      await must(killed).restart();
      await must(group).settled();
    },
    'Redis is killed': () => must(redis).kill('SIGKILL'),
    'Redis is killed, and its disk is gone': async () => {
      await must(redis).kill('SIGKILL');
      rmSync(join(must(redis).dir, 'appendonlydir'), { recursive: true });
    },
    'Redis is started': () => must(redis).start(),
    'somebody edits a cell in Redis by hand': () => onRedis(env, editCell),
    'Redis carries a number that the registry never gave': () =>
      onRedis(env, (client) => client.hincrby(laneKeys(0).meta, 'term', 5)),
  };
}

function postgresActions({ postgres, pauseReplay }: Servers, holdfast: Holdfast): Actions {
  let wake = (): void => undefined;
  return {
    'PostgreSQL is killed': () => postgres.kill('SIGKILL'),
    'PostgreSQL is started': () => postgres.start(),
    'PostgreSQL hangs': async () => {
      wake = hang(postgres);
    },
    'PostgreSQL is woken': async () => wake(),
    'the standby falls behind': async () => {
      await must(pauseReplay)();
      await holdfast.buy(2);
    },
  };
}

async function onRedis(
  env: Record<string, string>,
  act: (client: Redis) => Promise<unknown>,
): Promise<void> {
  const client = new Redis(env.REDIS_URL ?? '');
  try {
    await act(client);
  } finally {
    client.disconnect();
  }
}

/** Shoppers come while Redis gives no answer, until one of them is refused. */
async function overwhelm(client: Redis, holdfast: Holdfast): Promise<void> {
  await client.client('PAUSE', STALL_MS, 'ALL');
  const asked: Promise<unknown>[] = [];
  let isRefused = false;
  while (!isRefused && asked.length < SHOPPERS_MAX) {
    const buying = holdfast.call('POST', 'inventory/reserve', [{ sku_id: 'MUG', quantity: 1 }]);
    asked.push(buying.then(({ body }) => (isRefused ||= body.code === 'overloaded')));
    await sleep(SHOPPER_EVERY_MS);
  }
  await Promise.all(asked);
}

/** Five units more than there are, as an operator who means well would. */
async function editCell(client: Redis): Promise<void> {
  const key = laneKeys(0).stock('MUG');
  const packed = await client.hgetBuffer(key, 'LON');
  if (packed === null) throw new Error(`there is no cell LON in ${key}`);
  const cell = decodeCell(packed);
  await client.hset(key, 'LON', encodeCell({ ...cell, available: cell.available + 5 }));
}
