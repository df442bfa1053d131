/**
 * Redis CPU of an accepted reservation without HTTP: batches of 128 and 512, one SKU and 200, beside
 * what two scripts that everybody knows cost in the same Redis: one that does nothing, and one that
 * takes a unit off a counter and remembers nothing (no hold, no expiry, no log). These run once a
 * request, pipelined, as such scripts are used.
 */
import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import { atMost, type BudgetRow } from '../budgets.ts';
import { defineScenario, type Findings } from '../define-scenario.ts';
import { driveLane } from '../measure/lane-driver.ts';
import type { IdKind } from '../measure/lane-session.ts';
import { median } from '../measure/median.ts';
import { commandsBetween, type ProfileRow, readRedis, redisProfile } from '../measure/redis-cpu.ts';
import type { ReportTable } from '../scenario.ts';

export interface LaneCase {
  readonly name: string;
  readonly batch: number;
  readonly skus: number;
  readonly ids: IdKind;
  readonly budgetUs: number;
}

/** Two looks, and a bucket of its own for each record. */
const KEYED_US = 6;

export const LANE_CASES: readonly LaneCase[] = [
  { name: 'batch 128, 1 SKU', batch: 128, skus: 1, ids: 'made', budgetUs: 2.5 },
  { name: 'batch 512, 1 SKU', batch: 512, skus: 1, ids: 'made', budgetUs: 2 },
  { name: 'batch 128, 200 SKUs', batch: 128, skus: 200, ids: 'made', budgetUs: 4 },
  { name: 'batch 512, 200 SKUs', batch: 512, skus: 200, ids: 'made', budgetUs: 4 },
  // A goal of our own: the design's are of ids that the engine makes.
  { name: 'batch 128, 1 SKU, keyed', batch: 128, skus: 1, ids: 'keyed', budgetUs: KEYED_US },
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
  readonly profile: readonly ProfileRow[];
}

export interface LaneReport {
  readonly reservations: number;
  readonly rounds: number;
  readonly lanes: readonly LaneCost[];
  readonly peers: Readonly<Record<PeerName, Cost>>;
}

export interface LaneSize {
  /** Measured in each round of each case. */
  readonly reservations: number;
  readonly rounds: number;
}

export interface LaneOptions extends LaneSize {
  readonly onProgress: (what: string) => void;
}

const PIPELINE = 512;
const PEER_STOCK = 1_000_000_000;
/** A reserve in a batch, hold, deadline and log included, against scripts of one request each. */
const OF_EMPTY_SCRIPT = 3;
const OF_BARE_COUNTER = 1.5;
/** 200 SKUs in a batch against one. */
const OF_ONE_SKU = 3;
const BYTES_OF_RESERVATION_MAX = 200;

export const lane = defineScenario<LaneSize>({
  name: 'lane',
  about: 'reserves in batches of 128 and 512 without HTTP: CPU of Redis, beside bare scripts',
  runs: 'always',
  fullSeconds: 52,
  full: { reservations: 300_000, rounds: 5 },
  // Enough for batches of 512 to be full, and for a median to have neighbours.
  quick: { reservations: 20_000, rounds: 3 },
  async run({ openStores, onProgress }, size) {
    const { redis } = await openStores();
    return toFindings(await runLaneScenario(redis, { ...size, onProgress }));
  },
});

/** Empties the Redis. Throws when the units reserved are not those accepted. */
export async function runLaneScenario(redis: Redis, options: LaneOptions): Promise<LaneReport> {
  const lanes = new Map<LaneCase, OneRound[]>(LANE_CASES.map((each) => [each, []]));
  const peers = new Map<PeerName, number[]>();
  // Round by round, so that a minute of noise hits all cases alike.
  for (let round = 1; round <= options.rounds; round++) {
    options.onProgress(`round ${round} of ${options.rounds}`);
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

export function laneBudgets({ lanes, peers }: LaneReport): BudgetRow[] {
  const counterUs = peers['EVALSHA of a bare counter'].us;
  const yardstick = { what: 'an EVALSHA of a bare counter', measured: counterUs };
  const rows = lanes.map(({ case: { name, budgetUs }, us }) =>
    atMost(`Redis CPU of a reservation, ${name}`, us, budgetUs, 'us', yardstick),
  );
  const cost = (batch: number, skus: number): number =>
    lanes.find((each) => each.case.batch === batch && each.case.skus === skus)?.us ?? Number.NaN;
  const one = cost(512, 1);
  const bytes = Math.max(...lanes.map((each) => each.bytes));
  const ofEmpty = one / peers['EVALSHA that does nothing'].us;
  const ofCounter = one / counterUs;
  return [
    ...rows,
    atMost('memory of a live reservation', bytes, BYTES_OF_RESERVATION_MAX, 'bytes'),
    atMost('batch 512 : EVALSHA that does nothing, each request', ofEmpty, OF_EMPTY_SCRIPT, 'x'),
    atMost('batch 512 : EVALSHA of a bare counter, each request', ofCounter, OF_BARE_COUNTER, 'x'),
    atMost('batch 512, 200 SKUs : 1 SKU', cost(512, 200) / one, OF_ONE_SKU, 'x'),
  ];
}

function toFindings(report: LaneReport): Findings {
  const { lanes, peers, reservations, rounds } = report;
  const budgets = laneBudgets(report);
  const lower = { unit: 'us', better: 'lower' } as const;
  const perBytes = { unit: 'bytes', better: 'lower' } as const;
  return {
    facts: [
      ...lanes.map(({ case: { name }, us }) => ({
        what: `Redis CPU, ${name}`,
        value: us,
        ...lower,
      })),
      ...Object.entries(peers).map(([name, { us }]) => ({
        what: `Redis CPU, ${name}, a request each`,
        value: us,
        unit: 'us',
      })),
      ...lanes.map(({ case: { name }, bytes }) => ({
        what: `memory of a live reservation, ${name}`,
        value: bytes,
        ...perBytes,
      })),
    ],
    budgets,
    // Each case counts in each round, and throws where units are missing or too many.
    audit: {
      ok: true,
      words: [
        `${lanes.length} cases, ${rounds} rounds: each time all ${reservations} units, and those of the warm-up, were reserved`,
      ],
    },
    tables: [roundsTable(report), ...profileTables(lanes, budgets)],
  };
}

function roundsTable({ reservations, rounds, lanes, peers }: LaneReport): ReportTable {
  const shown = ({ us, rounds: each }: Cost): string[] => [
    us.toFixed(2),
    each.map((round) => round.toFixed(2)).join(' '),
  ];
  return {
    title: `Redis CPU (main thread) of an accepted reservation, us: median of ${rounds} rounds of ${reservations}`,
    head: ['', 'median', 'rounds', 'batch', 'bytes'],
    rows: [
      ...lanes.map((each) => [
        each.case.name,
        ...shown(each),
        each.batchMean.toFixed(0),
        each.bytes.toFixed(0),
      ]),
      ...Object.entries(peers).map(([name, cost]) => [
        `${name}, a request each`,
        ...shown(cost),
        '1',
        '',
      ]),
    ],
  };
}

/** Where a budget of Redis CPU is missed: where the time goes, a column for each such case. */
function profileTables(lanes: readonly LaneCost[], budgets: readonly BudgetRow[]): ReportTable[] {
  const missed = lanes.filter(({ case: { name } }) =>
    budgets.some(({ what, isMet }) => !isMet && what.endsWith(name)),
  );
  if (missed.length === 0) return [];
  const whats = new Set(missed.flatMap(({ profile }) => profile.map(({ what }) => what)));
  return [
    {
      title: 'Where Redis spends it, us a reservation by the clock (not by CPU)',
      head: ['', ...missed.map((each) => each.case.name)],
      rows: [...whats].map((what) => [
        what,
        ...missed.map(
          ({ profile }) => profile.find((row) => row.what === what)?.us.toFixed(2) ?? '',
        ),
      ]),
    },
  ];
}

interface OneRound {
  readonly us: number;
  readonly batchMean: number;
  readonly bytes: number;
  readonly profile: LaneCost['profile'];
}

async function measureLane(
  redis: Redis,
  each: LaneCase,
  { reservations }: LaneOptions,
): Promise<OneRound> {
  const lane = await driveLane(redis, each);
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
    profile: redisProfile(commandsBetween(before, after), after.cpuUs - before.cpuUs, reservations),
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

async function measurePeer(
  redis: Redis,
  script: string,
  { reservations }: LaneOptions,
): Promise<number> {
  const digest = await loadPeer(redis, script);
  const before = await readRedis(redis);
  const sent = await sendPeer(redis, digest, reservations);
  const after = await readRedis(redis);
  return (after.cpuUs - before.cpuUs) / sent;
}

/** Empties the Redis. The digest of the script. */
export async function loadPeer(redis: Redis, script: string): Promise<string> {
  await redis.flushall('SYNC');
  await redis.set('stock', PEER_STOCK);
  await redis.script('LOAD', script);
  return createHash('sha1').update(script).digest('hex');
}

/** A request each, in full pipelines; how many were sent. */
export async function sendPeer(redis: Redis, digest: string, count: number): Promise<number> {
  let sent = 0;
  for (; sent < count; sent += PIPELINE) {
    const pipeline = redis.pipeline();
    for (let i = 0; i < PIPELINE; i++) pipeline.evalsha(digest, 1, 'stock', 1);
    await pipeline.exec();
  }
  return sent;
}
