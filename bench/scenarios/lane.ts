/**
 * Redis CPU of an accepted reservation without HTTP: batches of 128 and 512, one SKU and 200, beside
 * what two scripts that everybody knows cost in the same Redis: one that does nothing, and one that
 * takes a unit off a counter and remembers nothing (no hold, no expiry, no log). These run once a
 * request, pipelined, as such scripts are used.
 */
import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import { driveLane } from '../measure/lane-driver.ts';
import { commandsBetween, type RedisReading, readRedis } from '../measure/redis-cpu.ts';

export interface LaneCase {
  readonly name: string;
  readonly batch: number;
  readonly skus: number;
  readonly budgetUs: number;
}

export const LANE_CASES: readonly LaneCase[] = [
  { name: 'batch 128, 1 SKU', batch: 128, skus: 1, budgetUs: 2.5 },
  { name: 'batch 512, 1 SKU', batch: 512, skus: 1, budgetUs: 2 },
  { name: 'batch 128, 200 SKUs', batch: 128, skus: 200, budgetUs: 4 },
  { name: 'batch 512, 200 SKUs', batch: 512, skus: 200, budgetUs: 4 },
];

export const PEERS = {
  'EVALSHA that does nothing': 'return 1',
  'EVALSHA of a bare counter': `
    local stock = tonumber(redis.call('GET', KEYS[1]) or '0')
    local wanted = tonumber(ARGV[1])
    if stock < wanted then return -1 end
    return redis.call('DECRBY', KEYS[1], wanted)`,
} as const;
export type PeerName = keyof typeof PEERS;

/** The median of the rounds, and all of them. */
export interface Cost {
  readonly us: number;
  readonly rounds: readonly number[];
}

export interface LaneCost extends Cost {
  readonly case: LaneCase;
  readonly batchMean: number;
  /** Memory of a live reservation with its deadline, without the log, bytes. */
  readonly bytes: number;
  /** us a reservation: the script, and of it each command that it called; of the last round. */
  readonly profile: readonly { readonly what: string; readonly us: number }[];
}

export interface LaneReport {
  readonly reservations: number;
  readonly rounds: number;
  readonly lanes: readonly LaneCost[];
  readonly peers: Readonly<Record<PeerName, Cost>>;
}

export interface LaneOptions {
  /** Measured in each round of each case. */
  readonly reservations: number;
  readonly rounds: number;
  readonly onProgress: (what: string) => void;
}

const PIPELINE = 512;
const PEER_STOCK = 1_000_000_000;

/** Empties the Redis. Throws when the units reserved are not those accepted. */
export async function runLaneScenario(redis: Redis, options: LaneOptions): Promise<LaneReport> {
  const lanes = new Map<LaneCase, OneRound[]>(LANE_CASES.map((each) => [each, []]));
  const peers = new Map<PeerName, number[]>();
  // Round by round, so that a minute of noise hits all cases alike.
  for (let round = 1; round <= options.rounds; round++) {
    options.onProgress(`lane: round ${round} of ${options.rounds}`);
    for (const [each, rounds] of lanes) rounds.push(await measureLane(redis, each, options));
    for (const name of Object.keys(PEERS) as PeerName[]) {
      const rounds = peers.get(name) ?? [];
      rounds.push(await measurePeer(redis, PEERS[name], options));
      peers.set(name, rounds);
    }
  }
  await redis.flushall('SYNC');
  const cost = (rounds: readonly number[]): Cost => ({ us: median(rounds), rounds });
  return {
    reservations: options.reservations,
    rounds: options.rounds,
    lanes: [...lanes].map(([each, rounds]) => ({
      case: each,
      ...cost(rounds.map(({ us }) => us)),
      batchMean: median(rounds.map(({ batchMean }) => batchMean)),
      bytes: median(rounds.map(({ bytes }) => bytes)),
      profile: rounds.at(-1)?.profile ?? [],
    })),
    peers: {
      'EVALSHA that does nothing': cost(peers.get('EVALSHA that does nothing') ?? []),
      'EVALSHA of a bare counter': cost(peers.get('EVALSHA of a bare counter') ?? []),
    },
  };
}

interface OneRound {
  readonly us: number;
  readonly batchMean: number;
  readonly bytes: number;
  readonly profile: LaneCost['profile'];
}

async function measureLane(
  redis: Redis,
  { batch, skus }: LaneCase,
  { reservations }: LaneOptions,
): Promise<OneRound> {
  const lane = await driveLane(redis, { batch, skus });
  const warmUp = Math.ceil(reservations / 10);
  await lane.reserve(warmUp);
  const sentBefore = lane.sent();
  const before = await readRedis(redis);
  await lane.reserve(reservations);
  const after = await readRedis(redis);
  const sent = lane.sent();
  const reserved = await lane.reserved();
  if (reserved !== warmUp + reservations) {
    throw new Error(`audit: ${warmUp + reservations} were accepted, ${reserved} are reserved`);
  }
  return {
    us: (after.cpuUs - before.cpuUs) / reservations,
    batchMean: (sent.operations - sentBefore.operations) / (sent.batches - sentBefore.batches),
    bytes: await bytesOfReservation(redis, reserved),
    profile: profileOf(before, after, reservations),
  };
}

/** Everything but the log, which is trimmed in operation. */
async function bytesOfReservation(redis: Redis, reservations: number): Promise<number> {
  await redis.del('hf:{0}:log');
  const full = (await readRedis(redis)).usedMemoryBytes;
  await redis.flushall('SYNC');
  const empty = (await readRedis(redis)).usedMemoryBytes;
  return (full - empty) / reservations;
}

export function profileOf(
  before: RedisReading,
  after: RedisReading,
  reservations: number,
): LaneCost['profile'] {
  const commands = commandsBetween(before, after).map(({ name, us }) => ({
    what: name,
    us: us / reservations,
  }));
  const script = commands.find(({ what }) => what === 'evalsha')?.us ?? 0;
  const called = commands.filter(({ what }) => what !== 'evalsha');
  const lua = script - called.reduce((sum, { us }) => sum + us, 0);
  const cpu = (after.cpuUs - before.cpuUs) / reservations;
  return [
    { what: 'Lua itself', us: lua },
    ...called.filter(({ us }) => us >= 0.01),
    // The commands are timed by the clock: on a busy machine the script's time exceeds the CPU's.
    { what: 'reading, replying, append-only file', us: Math.max(0, cpu - script) },
  ];
}

async function measurePeer(
  redis: Redis,
  script: string,
  { reservations }: LaneOptions,
): Promise<number> {
  await redis.flushall('SYNC');
  await redis.set('stock', PEER_STOCK);
  await redis.script('LOAD', script);
  const digest = createHash('sha1').update(script).digest('hex');
  const before = await readRedis(redis);
  for (let sent = 0; sent < reservations; sent += PIPELINE) {
    const pipeline = redis.pipeline();
    for (let i = 0; i < PIPELINE; i++) pipeline.evalsha(digest, 1, 'stock', 1);
    await pipeline.exec();
  }
  const after = await readRedis(redis);
  return (after.cpuUs - before.cpuUs) / (Math.ceil(reservations / PIPELINE) * PIPELINE);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  return Number.isInteger(middle) ? (low + (sorted[middle] ?? low)) / 2 : low;
}
