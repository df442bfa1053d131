/** What the roles that serve no HTTP tell Prometheus, at HOLDFAST_METRICS_PORT where it is set. */
import type { PersisterMetrics } from '../../persister/persister.ts';
import type { RelayMetrics } from '../relay/relay.ts';
import type { Config } from '../runtime/config.ts';
import { createMetrics, type Metrics } from '../runtime/metrics.ts';
import { startMetricsServer } from '../runtime/metrics-server.ts';

export interface RoleMetrics {
  close(): Promise<void>;
}

export interface RoleMeter {
  readonly metrics: Metrics;
  /** Called when all is registered; listens only where a port is set. */
  serve(config: Pick<Config, 'host' | 'metricsPort'>): Promise<RoleMetrics>;
}

export function createRoleMeter(): RoleMeter {
  const metrics = createMetrics({ processMetrics: true });
  return {
    metrics,
    serve: async ({ host, metricsPort }) =>
      metricsPort === undefined
        ? { close: async () => undefined }
        : startMetricsServer(metrics, { host, port: metricsPort }),
  };
}

/** Each since the process began. */
export function persisterMetrics(metrics: Pick<Metrics, 'gauge'>): PersisterMetrics {
  const count = countsOf(metrics, 'holdfast_persister_count', 'What the persister did.', [
    'events',
    'entries',
    'voided',
    'repeated',
    'suspects',
    'overtaken',
    'gaps',
    'parked',
    'failed',
  ] as const);
  return {
    applied: ({ entries, events, repeated, voided }) => {
      count.events += events;
      count.entries += entries;
      count.repeated += repeated;
      count.voided += voided;
    },
    suspects: (cells) => {
      count.suspects += cells;
    },
    overtaken: () => {
      count.overtaken += 1;
    },
    gap: () => {
      count.gaps += 1;
    },
    parked: () => {
      count.parked += 1;
    },
    failed: () => {
      count.failed += 1;
    },
  };
}

export function relayMetrics(metrics: Pick<Metrics, 'gauge'>): RelayMetrics {
  const count = countsOf(metrics, 'holdfast_relay_count', 'What the relay did.', [
    'entries',
    'bytes',
    'unproven',
    'failed',
  ] as const);
  return {
    sent: ({ bytes, entries }) => {
      count.entries += entries;
      count.bytes += bytes;
    },
    unproven: () => {
      count.unproven += 1;
    },
    failed: () => {
      count.failed += 1;
    },
  };
}

function countsOf<Name extends string>(
  metrics: Pick<Metrics, 'gauge'>,
  name: string,
  help: string,
  names: readonly Name[],
): Record<Name, number> {
  const counts = Object.fromEntries(names.map((each) => [each, 0])) as Record<Name, number>;
  metrics.gauge(name, help, ['what'], () =>
    names.map((what) => ({ labels: { what }, value: counts[what] })),
  );
  return counts;
}
