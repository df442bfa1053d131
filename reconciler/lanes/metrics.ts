/**
 * The status of a lane as gauges of Prometheus. Everything is read at a scrape, and once for all of
 * them; what counts recoveries is counted in PostgreSQL, so it outlives every process.
 */
import type { GaugeReading, Metrics } from '../../engine/runtime/metrics.ts';
import type { Lag, ReplicaView } from './redis-side.ts';
import { isProblem, type LaneSources, type LaneStatus, readLaneStatus } from './status.ts';

/** The gauges of one scrape are read within it; the next comes seconds later. */
const SAME_SCRAPE_MS = 500;

type Gauges = Pick<Metrics, 'gauge'>;

export function registerLaneMetrics(metrics: Gauges, sources: LaneSources): void {
  const label = { lane: String(sources.lane) };
  const status = onceIn(SAME_SCRAPE_MS, () => readLaneStatus(sources));
  const gauge = (
    name: string,
    help: string,
    read: (status: LaneStatus) => number | undefined,
  ): void => {
    metrics.gauge(name, help, ['lane'], async () => {
      const value = read(await status());
      return value === undefined ? [] : [{ labels: label, value }];
    });
  };
  gauge('holdfast_lane_open', '1 while the lane sells.', ({ state }) => Number(state === 'open'));
  gauge('holdfast_lane_seq', 'Last entry of the lane in its epoch.', ({ redis }) =>
    isProblem(redis) ? undefined : redis.seq,
  );
  lagGauges(gauge, 'log', ({ log_lag }) => log_lag);
  lagGauges(gauge, 'postgres', ({ postgres_lag }) => postgres_lag);
  gauge('holdfast_redis_replicas', 'Replicas that are online.', ({ redis }) =>
    isProblem(redis) ? undefined : redis.replicas.filter(({ link }) => link === 'online').length,
  );
  gauge(
    'holdfast_sentinels_agreeing',
    'Sentinels that name the primary that this process is connected to.',
    ({ redis, sentinels }) =>
      isProblem(redis) || sentinels.length === 0
        ? undefined
        : sentinels.filter(({ primary }) => primary === redis.address).length,
  );
  copyGauges(gauge);
  replicaGauges(metrics, label, status);
  recoveryGauges(metrics, sources);
}

type LaneGauge = (
  name: string,
  help: string,
  read: (status: LaneStatus) => number | undefined,
) => void;

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

function replicaGauges(
  metrics: Gauges,
  label: Readonly<Record<string, string>>,
  status: () => Promise<LaneStatus>,
): void {
  const each = async (value: (replica: ReplicaView) => number): Promise<GaugeReading> => {
    const { redis } = await status();
    if (isProblem(redis)) return [];
    return redis.replicas.map((replica) => ({
      labels: { ...label, replica: replica.address },
      value: value(replica),
    }));
  };
  metrics.gauge(
    'holdfast_redis_replica_behind_bytes',
    'Bytes of the replication stream that a replica has not confirmed.',
    ['lane', 'replica'],
    () => each(({ behind_bytes }) => behind_bytes),
  );
  metrics.gauge(
    'holdfast_redis_replica_silent_seconds',
    'Time since a replica confirmed anything.',
    ['lane', 'replica'],
    () => each(({ silent_s }) => silent_s),
  );
}

function recoveryGauges(metrics: Gauges, { lane, pool }: LaneSources): void {
  const label = { lane: String(lane) };
  metrics.gauge(
    'holdfast_recoveries',
    'Recoveries since the lane was made, by how they ended.',
    ['lane', 'outcome'],
    async () => {
      const { rows } = await pool.query<{ outcome: string; count: number }>(
        `SELECT coalesce(split_part(outcome, ':', 1), 'under_way') AS outcome, count(*) AS count
         FROM recoveries WHERE lane = $1 GROUP BY 1`,
        [lane],
      );
      return rows.map(({ outcome, count }) => ({ labels: { ...label, outcome }, value: count }));
    },
  );
  const last = (name: string, help: string, sql: string): void =>
    metrics.gauge(name, help, ['lane'], async () => {
      const { rows } = await pool.query<{ value: number | null }>(
        `SELECT (${sql})::double precision AS value FROM recoveries
         WHERE lane = $1 AND outcome = 'opened' ORDER BY started_at DESC LIMIT 1`,
        [lane],
      );
      const value = rows[0]?.value;
      return value == null ? [] : [{ labels: label, value }];
    });
  last(
    'holdfast_recovery_last_opened_timestamp_seconds',
    'When a recovery last opened the lane.',
    'extract(epoch FROM ended_at)',
  );
  last(
    'holdfast_recovery_last_duration_seconds',
    'From the detection of its cause to the opening.',
    'extract(epoch FROM ended_at - coalesce(detected_at, started_at))',
  );
}

function inSeconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1_000;
}

/** Calls that come within `ms` of the first share its result. */
function onceIn<T>(ms: number, read: () => Promise<T>): () => Promise<T> {
  let begun = Number.NEGATIVE_INFINITY;
  let reading: Promise<T> | undefined;
  return () => {
    if (reading === undefined || performance.now() - begun > ms) {
      begun = performance.now();
      reading = read();
    }
    return reading;
  };
}
