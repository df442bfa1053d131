/**
 * What a fault run stands on: a Redis group behind the network, the log, PostgreSQL, and the product's
 * processes on two sides, `old` and `new`, each with an engine and its workers. Which side is cut
 * off with the old primary is the fault's matter; until then they are equals.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { Pool } from 'pg';
import { runMigrations } from '../../cli/roles.ts';
import { connectKafka } from '../../kafka/connect.ts';
import { createKafkaSource } from '../../log/kafka-source.ts';
import { createPool } from '../../postgres/pool.ts';
import { laneKeys } from '../../redis/keys.ts';
import { readConfig } from '../../runtime/config.ts';
import { parseDatabaseUrl } from '../../runtime/database-urls.ts';
import { createLogger } from '../../runtime/log.ts';
import { startPostgresPair, type TestPostgresPair } from '../postgres-pair.ts';
import { type GroupFront, startRedisGroup, type TestRedisGroup } from '../redis-group.ts';
import { startPostgres, type TestPostgres, testDatabase } from '../servers.ts';
import { currentTestRun } from '../test-run.ts';
import { type Child, startChild } from './child.ts';
import { clockEnvironment, redisWithClock, setClock } from './clock.ts';
import type { Party } from './link.ts';
import { kafkaLogReader, type LogReader, streamLogReader } from './log-reader.ts';
import { Network } from './network.ts';
import { type FrontedKafka, startFrontedKafka } from './servers.ts';

export type Side = 'old' | 'new';
export const SIDES: readonly Side[] = ['old', 'new'];

export interface FaultStackOptions {
  readonly log: 'embedded' | 'kafka';
  readonly replicas?: 2 | 3;
  /** The data nodes flush their append-only file before each answer, which the level fsync needs. */
  readonly isFlushed?: boolean;
  /** The clocks of data nodes and engines can be set (clock.ts). */
  readonly hasClocks?: boolean;
  /** `own`: a server that the fault may stop; `pair`: with a standby that it may promote. */
  readonly postgres?: 'shared' | 'own' | 'pair';
  /** Redis and PostgreSQL are reached without the network, which costs a million races dearly. */
  readonly isDirect?: boolean;
  /** HOLDFAST_... of every process. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Where the processes' logs go. */
  readonly logDirectory?: string;
}

/** One side's processes; a process that was killed is replaced by `start...`. */
export interface SideProcesses {
  engine: Child;
  workers: Child;
}

export interface FaultStack {
  readonly options: FaultStackOptions;
  readonly network: Network;
  readonly group: TestRedisGroup;
  readonly postgres: TestPostgres | undefined;
  readonly postgresPair: TestPostgresPair | undefined;
  readonly kafka: FrontedKafka | undefined;
  readonly pool: Pool;
  readonly log: LogReader;
  readonly sides: Readonly<Record<Side, SideProcesses>>;
  engineAddress(side: Side): { readonly host: string; readonly port: number };
  startEngine(side: Side): Promise<void>;
  startWorkers(side: Side, env?: Readonly<Record<string, string>>): Promise<void>;
  /** The file that sets the clock of a side's engine, where they have clocks. */
  engineClock(side: Side): string;
  /** A direct connection to one node, for the harness. */
  connect(node: number): Redis;
  /** The primary that a majority of the Sentinels names. */
  primary(): Promise<Redis>;
  close(): Promise<void>;
}

export const engineOf = (side: Side): Party => `engine-${side}`;
export const workersOf = (side: Side): Party => `workers-${side}`;
export const dataOf = (node: number): Party => `node-${node}`;
export const sentinelOf = (node: number): Party => `sentinel-${node}`;
/** All of one side's processes. */
export const sideOf = (side: Side): Party[] => [engineOf(side), workersOf(side)];

/** Last byte of the addresses of the sides' processes, beside those of the nodes. */
const ADDRESS: Readonly<Record<Side, number>> = { old: 101, new: 102 };
/** Their addresses are the stack's own, so any port is free there. */
const ENGINE_PORT = 27_070;
const OPEN_MS_MAX = 60_000;
/** As the local stack and deploy/compose.yaml have them. */
const DOWN_AFTER_MS = 1_500;
const FAILOVER_TIMEOUT_MS = 6_000;

export async function startFaultStack(options: FaultStackOptions): Promise<FaultStack> {
  const ends: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end().catch(() => undefined);
  };
  try {
    return await start(options, ends, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(
  options: FaultStackOptions,
  ends: (() => Promise<void>)[],
  close: () => Promise<void>,
): Promise<FaultStack> {
  const network = new Network();
  ends.push(() => network.close());
  if (options.hasClocks === true) ends.push(setRedisServer());
  const group = await startGroup(network, options);
  ends.push(() => group.stop());
  const { postgres, postgresPair, databaseUrl } = await startDatabase(options, ends);
  const kafka = options.log === 'kafka' ? await startFrontedKafka(network) : undefined;
  if (kafka !== undefined) ends.push(() => kafka.stop());
  const subnet = (group.nodes[0]?.host ?? '').replace(/\.\d+$/, '');
  const env: Record<string, string> = {
    REDIS_URL: group.url,
    DATABASE_URL:
      options.isDirect === true ? databaseUrl : await frontDatabase(network, databaseUrl),
    HOLDFAST_LOG_LEVEL: 'info',
    ...(kafka !== undefined && { KAFKA_BROKERS: kafka.fronted }),
    ...options.settings,
  };
  const config = readConfig({ ...env, DATABASE_URL: databaseUrl });
  await runMigrations({ config, log: createLogger('faults', 'silent') });
  const pool = createPool({
    url: databaseUrl,
    applicationName: 'holdfast-faults',
    connectionsMax: 4,
    onIdleError: () => undefined,
  });
  ends.push(() => pool.end());
  const clients = new Map<number, Redis>();
  ends.push(async () => {
    for (const client of clients.values()) client.disconnect();
  });
  const connect = (node: number): Redis => {
    const known = clients.get(node);
    if (known !== undefined) return known;
    const redis = new Redis(group.nodes[node]?.url ?? '', {
      protocol: 2,
      maxRetriesPerRequest: 2,
      retryStrategy: () => 50,
    });
    redis.on('error', () => undefined);
    clients.set(node, redis);
    return redis;
  };
  const primary = async (): Promise<Redis> => connect((await group.primary()).index);
  const log = openLog(options, kafka, primary);
  ends.push(() => log.close());
  const children = new Set<Child>();
  ends.push(async () => {
    await Promise.all([...children].map((child) => child.kill()));
  });
  const starter = childStarter({ options, network, subnet, env, children });
  const startEngine = (side: Side) => starter.start(side, 'engine');
  const workers = await Promise.all(SIDES.map((side) => starter.start(side, 'workers')));
  await untilOpen(primary);
  const engines = await Promise.all(SIDES.map(startEngine));
  const sides = { old: pair(engines[0], workers[0]), new: pair(engines[1], workers[1]) };
  return {
    options,
    network,
    group,
    postgres,
    postgresPair,
    kafka,
    pool,
    log,
    sides,
    engineAddress: (side) => ({ host: starter.hostOf(side, 'engine'), port: ENGINE_PORT }),
    async startEngine(side) {
      sides[side].engine = await startEngine(side);
    },
    async startWorkers(side, more) {
      sides[side].workers = await starter.start(side, 'workers', more);
    },
    engineClock: (side) => starter.clockOf(side),
    connect,
    primary,
    close,
  };
}

function pair(engine: Child | undefined, workers: Child | undefined): SideProcesses {
  if (engine === undefined || workers === undefined) throw new Error('a side has no process');
  return { engine, workers };
}

/** The group takes its server from this process's environment, also for what it starts later. */
function setRedisServer(): () => Promise<void> {
  const before = process.env.HOLDFAST_REDIS_SERVER;
  const directory = join(currentTestRun().directory, 'redis-with-clock');
  process.env.HOLDFAST_REDIS_SERVER = redisWithClock(directory);
  return async () => {
    if (before === undefined) delete process.env.HOLDFAST_REDIS_SERVER;
    else process.env.HOLDFAST_REDIS_SERVER = before;
  };
}

async function startGroup(network: Network, options: FaultStackOptions): Promise<TestRedisGroup> {
  return startRedisGroup({
    downAfterMs: DOWN_AFTER_MS,
    failoverTimeoutMs: FAILOVER_TIMEOUT_MS,
    replicas: options.replicas ?? 2,
    args: options.isFlushed === true ? ['--appendfsync', 'always'] : [],
    ...(options.isDirect !== true && { front: frontBefore(network) }),
  });
}

function frontBefore(network: Network): GroupFront {
  return ({ node, kind, host, port }) => {
    network.name(host, dataOf(node));
    return network.front({
      party: kind === 'data' ? dataOf(node) : sentinelOf(node),
      upstream: { host, port },
      identify: (peer, first) => {
        const party = network.nameOf(peer);
        // A node and its Sentinel share an address; a Sentinel begins by saying its name.
        const isSentinel = party.startsWith('node-') && first.includes('sentinel-');
        return isSentinel ? party.replace('node-', 'sentinel-') : party;
      },
    });
  };
}

async function startDatabase(
  options: FaultStackOptions,
  ends: (() => Promise<void>)[],
): Promise<Pick<FaultStack, 'postgres' | 'postgresPair'> & { readonly databaseUrl: string }> {
  if (options.postgres === 'pair') {
    const postgresPair = await startPostgresPair();
    ends.push(() => postgresPair.stop());
    return { postgres: undefined, postgresPair, databaseUrl: postgresPair.url };
  }
  if (options.postgres === 'own') {
    const postgres = await startPostgres();
    ends.push(() => postgres.stop());
    return { postgres, postgresPair: undefined, databaseUrl: postgres.url };
  }
  const database = await testDatabase();
  ends.push(() => database.drop());
  return { postgres: undefined, postgresPair: undefined, databaseUrl: database.url };
}

/** The product reaches PostgreSQL through the network, as the parties `postgres` and `postgres-1`. */
async function frontDatabase(network: Network, databaseUrl: string): Promise<string> {
  const { hosts } = parseDatabaseUrl(databaseUrl);
  const fronts: string[] = [];
  for (const [i, { host, port }] of hosts.entries()) {
    const party = i === 0 ? 'postgres' : `postgres-${i}`;
    const front = await network.front({ party, upstream: { host, port } });
    fronts.push(`${front.host}:${front.port}`);
  }
  return databaseUrl.replace(hosts.map(({ name }) => name).join(','), fronts.join(','));
}

function openLog(
  { log, settings }: FaultStackOptions,
  kafka: FrontedKafka | undefined,
  primary: () => Promise<Redis>,
): LogReader {
  if (log === 'embedded' || kafka === undefined) return streamLogReader(primary);
  const topic = settings?.HOLDFAST_LOG_TOPIC ?? 'hf.log';
  return kafkaLogReader(
    createKafkaSource({
      kafka: connectKafka({
        brokers: [kafka.direct],
        clientId: 'holdfast-faults',
        onLog: () => undefined,
      }),
      topic,
      lane: 0,
      name: 'holdfast-faults',
      onProblem: () => undefined,
    }),
  );
}

interface StarterOptions {
  readonly options: FaultStackOptions;
  readonly network: Network;
  readonly subnet: string;
  readonly env: Readonly<Record<string, string>>;
  /** All that were ever started. */
  readonly children: Set<Child>;
}

interface Starter {
  start(side: Side, kind: Kind, more?: Readonly<Record<string, string>>): Promise<Child>;
  clockOf(side: Side): string;
  /** Where a process listens, and where its connections come from. */
  hostOf(side: Side, kind: Kind): string;
}

type Kind = 'engine' | 'workers';

function childStarter(all: StarterOptions): Starter {
  const { options, network, subnet, env, children } = all;
  const directory = options.logDirectory ?? join(currentTestRun().directory, `logs-${subnet}`);
  mkdirSync(directory, { recursive: true });
  const clockOf = (side: Side): string => join(directory, `clock-${side}`);
  const hostOf = (side: Side, kind: Kind): string =>
    `${subnet}.${ADDRESS[side] + (kind === 'engine' ? 0 : 10)}`;
  return {
    clockOf,
    hostOf,
    async start(side, kind, more = {}) {
      const host = hostOf(side, kind);
      const localAddress = options.isDirect === true ? undefined : host;
      network.name(host, kind === 'engine' ? engineOf(side) : workersOf(side));
      const hasClock = options.hasClocks === true && kind === 'engine';
      if (hasClock) setClock(clockOf(side), 0);
      const child = await startChild({
        program: 'engine/testing/faults/side-child.js',
        args: [kind],
        env: {
          ...env,
          HOLDFAST_HOST: host,
          HOLDFAST_PORT: String(ENGINE_PORT),
          ...(localAddress !== undefined && { HOLDFAST_REDIS_LOCAL_ADDRESS: localAddress }),
          ...(hasClock && clockEnvironment(clockOf(side))),
          ...more,
        },
        localAddress,
        logPath: join(directory, `${kind}-${side}.log`),
      });
      children.add(child);
      return child;
    },
  };
}

async function untilOpen(primary: () => Promise<Redis>): Promise<void> {
  const deadlineMs = performance.now() + OPEN_MS_MAX;
  while ((await (await primary()).hget(laneKeys(0).meta, 'state')) !== 'open') {
    if (performance.now() > deadlineMs) throw new Error('the lane did not open');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
