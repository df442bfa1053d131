/**
 * The status of a lane as gauges of Prometheus: what `holdfast lanes` prints, read at a scrape, and
 * once for all of them.
 */
import type { GaugeReading, Metrics } from '../../engine/runtime/metrics.ts';
import { counterOf, timelineOf } from '../term.ts';
import { registerRecoveryMetrics } from './recovery-metrics.ts';
import type { Lag, RedisSide } from './redis-side.ts';
import type { ReplicaView } from './replication.ts';
import { onceIn, SAME_SCRAPE_MS } from './scrape.ts';
import {
  isProblem,
  LANE_SITUATIONS,
  type LaneSources,
  type LaneStatus,
  readLaneStatus,
} from './status.ts';

type Gauges = Pick<Metrics, 'gauge'>;

/** One for the lane; undefined where it cannot be told: then it is missing. */
type LaneGauge = (
  name: string,
  help: string,
  read: (status: LaneStatus) => number | undefined,
) => void;

/** Several, told apart by one more label. */
type LabelledGauge = (
  name: string,
  help: string,
  by: string,
  read: (status: LaneStatus) => Readonly<Record<string, number | undefined>>,
) => void;

export function registerLaneMetrics(metrics: Gauges, sources: LaneSources): void {
  const label = { lane: String(sources.lane) };
  const status = onceIn(SAME_SCRAPE_MS, () => readLaneStatus(sources));
  const gauge: LaneGauge = (name, help, read) => {
    metrics.gauge(name, help, ['lane'], async () => {
      const value = read(await status());
      return value === undefined ? [] : [{ labels: label, value }];
    });
  };
  const gauges: LabelledGauge = (name, help, by, read) => {
    metrics.gauge(name, help, ['lane', by], async (): Promise<GaugeReading> => {
      const readings = Object.entries(read(await status()));
      return readings.flatMap(([is, value]) =>
        value === undefined ? [] : [{ labels: { ...label, [by]: is }, value }],
      );
    });
  };
  situationGauges(gauge, gauges);
  placeGauges(gauge, gauges);
  lagGauges(gauge, 'log', ({ log_lag }) => log_lag);
  lagGauges(gauge, 'postgres', ({ postgres_lag }) => postgres_lag);
  replicationGauges(gauge, gauges);
  copyGauges(gauge);
  registerRecoveryMetrics(metrics, sources);
}

function situationGauges(gauge: LaneGauge, gauges: LabelledGauge): void {
  gauge('holdfast_lane_open', '1 while the lane sells.', ({ state }) => Number(state === 'open'));
  gauges('holdfast_lane_state', '1 for the state that the lane is in.', 'state', ({ state }) =>
    Object.fromEntries(LANE_SITUATIONS.map((each) => [each, Number(each === state)])),
  );
}

function placeGauges(gauge: LaneGauge, gauges: LabelledGauge): void {
  gauge('holdfast_lane_seq', 'Last entry of the lane in its epoch.', ({ redis }) =>
    isProblem(redis) ? undefined : redis.seq,
  );
  termGauges(
    gauges,
    'holdfast_lane_epoch',
    'Epoch of the last entry in Redis, and of the last one that PostgreSQL has applied',
    ({ redis, row }) => ({ redis: tailOf(redis)?.last.epoch, postgres: row?.position.epoch }),
  );
  termGauges(
    gauges,
    'holdfast_lane_term',
    'Term that Redis, the registry and what PostgreSQL has applied carry',
    ({ redis, row }) => ({
      redis: tailOf(redis)?.term,
      registry: row?.term,
      postgres: row?.position.term,
    }),
  );
}

/** Undefined where Redis is away, or knows nothing of the lane. */
function tailOf(redis: LaneStatus['redis']): RedisSide['tail'] | undefined {
  return isProblem(redis) || !redis.tail.exists ? undefined : redis.tail;
}

/** Two gauges: packed into one number (term.ts) nobody could read it off a chart. */
function termGauges(
  gauges: LabelledGauge,
  name: string,
  what: string,
  read: (status: LaneStatus) => Readonly<Record<string, number | undefined>>,
): void {
  const each = (part: (term: number) => number) => (status: LaneStatus) =>
    Object.fromEntries(
      Object.entries(read(status)).map(([store, term]) => [
        store,
        term === undefined ? undefined : part(term),
      ]),
    );
  gauges(name, `${what}: the counter, which every recovery raises.`, 'store', each(counterOf));
  gauges(`${name}_timeline`, `${what}: PostgreSQL's timeline.`, 'store', each(timelineOf));
}

function lagGauges(
  gauge: LaneGauge,
  store: string,
  lagOf: (status: LaneStatus) => Lag | undefined,
): void {
  gauge(
    `holdfast_lane_${store}_lag_entries`,
    `Entries of the lane that have not reached the ${store}.`,
    (status) => lagOf(status)?.entries,
  );
  gauge(
    `holdfast_lane_${store}_lag_seconds`,
    `Lane time between the last entry and the last that reached the ${store}.`,
    (status) => inSeconds(lagOf(status)?.ms),
  );
}

function replicationGauges(gauge: LaneGauge, gauges: LabelledGauge): void {
  const ofRedis =
    <T>(read: (redis: RedisSide) => T) =>
    ({ redis }: LaneStatus): T | undefined =>
      isProblem(redis) ? undefined : read(redis);
  gauge(
    'holdfast_redis_takes_writes',
    '1 while Redis is a primary with enough replicas in sync; 0: every write is refused.',
    ({ redis }) => Number(!isProblem(redis) && redis.takes_writes),
  );
  gauge(
    'holdfast_redis_replicas',
    'Replicas that are online; one that hangs is, for a while.',
    ofRedis(({ replicas }) => replicas.filter(({ link }) => link === 'online').length),
  );
  gauge(
    'holdfast_redis_replicas_in_sync',
    'Replicas that are online and not silent for longer than min-replicas-max-lag.',
    ofRedis(({ replicas_in_sync }) => replicas_in_sync),
  );
  gauge(
    'holdfast_redis_replicas_wanted',
    'Replicas in sync without which Redis takes no writes: min-replicas-to-write.',
    ofRedis(({ min_replicas_to_write }) => min_replicas_to_write),
  );
  const each = (value: (replica: ReplicaView) => number) => (status: LaneStatus) =>
    Object.fromEntries(
      (ofRedis(({ replicas }) => replicas)(status) ?? []).map((one) => [one.address, value(one)]),
    );
  gauges(
    'holdfast_redis_replica_behind_bytes',
    'Bytes of the replication stream that a replica has not confirmed.',
    'replica',
    each(({ behind_bytes }) => behind_bytes),
  );
  gauges(
    'holdfast_redis_replica_silent_seconds',
    'Time since a replica confirmed anything.',
    'replica',
    each(({ silent_s }) => silent_s),
  );
  gauge(
    'holdfast_sentinels_agreeing',
    'Sentinels that name the primary that this process is connected to.',
    ({ redis, sentinels }) =>
      isProblem(redis) || sentinels.length === 0
        ? undefined
        : sentinels.filter(({ primary }) => primary === redis.address).length,
  );
}

function copyGauges(gauge: LaneGauge): void {
  const progressOf = ({ recoveries }: LaneStatus) => recoveries[0]?.progress;
  gauge(
    'holdfast_recovery_rows_copied',
    'Rows that the recovery under way has copied back; missing when none copies.',
    (status) => progressOf(status)?.rows,
  );
  gauge(
    'holdfast_recovery_rows_total',
    'Rows that the recovery under way has to copy back.',
    (status) => progressOf(status)?.total,
  );
}

function inSeconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1_000;
}
