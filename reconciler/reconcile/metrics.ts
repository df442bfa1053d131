/**
 * What the last run of this process found, as gauges: `registerGauges` takes the `gauge` of
 * engine/runtime/metrics.ts, wherever the process that runs reconcile shows its metrics.
 */
import type { Metrics } from '../../engine/runtime/metrics.ts';
import { CAUSE_NAMES } from './causes.ts';
import type { ReconcileReport } from './report.ts';

export interface ReconcileGauges {
  readonly onReport: (report: ReconcileReport) => void;
  readonly onFailure: () => void;
}

const MS_PER_S = 1_000;

export function registerGauges(gauge: Metrics['gauge']): ReconcileGauges {
  let last: ReconcileReport | undefined;
  let endedAtMs = 0;
  let repaired = 0;
  let failures = 0;
  gauge(
    'holdfast_drift',
    'Differences between the stores that the last run of reconcile found, by cause.',
    ['cause'],
    () => CAUSE_NAMES.map((cause) => ({ labels: { cause }, value: last?.by_cause[cause] ?? 0 })),
  );
  gauge(
    'holdfast_drift_left',
    'Differences that stood when the last run of reconcile was over.',
    [],
    () => last?.left ?? Number.NaN,
  );
  gauge(
    'holdfast_reconcile_last_run_timestamp_seconds',
    'When the last run that could compare the stores ended; 0 when none did.',
    [],
    () => endedAtMs / MS_PER_S,
  );
  gauge(
    'holdfast_reconcile_duration_seconds',
    'How long the last run took.',
    [],
    () => (last?.duration_ms ?? Number.NaN) / MS_PER_S,
  );
  gauge(
    'holdfast_reconcile_unseen',
    'Things that the last run did not look at: the log that did not answer, what --since leaves out.',
    [],
    () => last?.unseen.length ?? Number.NaN,
  );
  gauge(
    'holdfast_reconcile_log_disagrees',
    'Whether the last run found another log than the one that PostgreSQL has read.',
    [],
    () => (last === undefined ? Number.NaN : Number(last.log.state === 'disagrees')),
  );
  gauge(
    'holdfast_reconcile_repairs_total',
    'Repairs since the process started.',
    [],
    () => repaired,
  );
  gauge(
    'holdfast_reconcile_failures_total',
    'Runs that could not compare the stores, since the process started.',
    [],
    () => failures,
  );
  return {
    onReport: (report) => {
      last = report;
      endedAtMs = Date.now();
      repaired += report.repaired;
    },
    onFailure: () => {
      failures += 1;
    },
  };
}
