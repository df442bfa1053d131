/**
 * What recoveries did, as gauges of Prometheus. All of it is read from PostgreSQL, so it outlives
 * every process, and every process shows the same.
 */
import type { GaugeReading, Metrics } from '../../engine/runtime/metrics.ts';
import { onceIn, SAME_SCRAPE_MS } from './scrape.ts';
import type { LaneSources } from './status.ts';
import { type RecoveryTimeline, readRecoveries, rowsCopied } from './timeline.ts';

type Gauges = Pick<Metrics, 'gauge'>;

export function registerRecoveryMetrics(metrics: Gauges, { lane, pool }: LaneSources): void {
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
  const readLast = onceIn(SAME_SCRAPE_MS, async () => {
    const [last] = await readRecoveries(pool, lane, 1, 'opened');
    return last;
  });
  const last = (
    name: string,
    help: string,
    read: (recovery: RecoveryTimeline) => number | undefined,
  ): void =>
    metrics.gauge(name, help, ['lane'], async () => {
      const recovery = await readLast();
      const value = recovery && read(recovery);
      return value === undefined ? [] : [{ labels: label, value }];
    });
  last(
    'holdfast_recovery_last_opened_timestamp_seconds',
    'When a recovery last opened the lane.',
    ({ ended_at }) => (ended_at === undefined ? undefined : Date.parse(ended_at) / 1_000),
  );
  last(
    'holdfast_recovery_last_duration_seconds',
    'Of the recovery that last opened the lane: from the detection of its cause to the opening.',
    ({ took_ms }) => (took_ms === undefined ? undefined : took_ms / 1_000),
  );
  last(
    'holdfast_recovery_last_rows_copied',
    'Rows that the recovery that last opened the lane had to copy back; 0 when Redis had all.',
    rowsCopied,
  );
  metrics.gauge(
    'holdfast_recovery_last_phase_seconds',
    'Of the recovery that last opened the lane: from the phase before, or the detection, to this one.',
    ['lane', 'phase'],
    async () => {
      const recovery = await readLast();
      return recovery === undefined ? [] : phaseDurations(recovery, label);
    },
  );
}

/** They add up to the time from the detection to the opening. */
function phaseDurations(
  { phases }: RecoveryTimeline,
  label: Readonly<Record<string, string>>,
): GaugeReading {
  return phases.map(({ at_ms, phase }, index) => ({
    labels: { ...label, phase: phase.replaceAll(' ', '_') },
    value: (at_ms - (phases[index - 1]?.at_ms ?? 0)) / 1_000,
  }));
}
