/**
 * What the engine tells Prometheus: RED for each route (requests, errors by status, duration),
 * outcomes of each operation, batches of the lane, and gauges that the capabilities register.
 * With hot-metrics.ts and metrics-sum.ts the one place that knows prom-client. No module state: one
 * `Metrics` a process, made by the composition root.
 */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { OutcomeName } from '../domain/outcome.ts';
import { HotCounter, HotHistogram, OTHER, SERIES_MAX } from './hot-metrics.ts';
import { watchLoopDelay } from './loop-delay.ts';
import { watchTurns } from './loop-turns.ts';
import type { MetricsSnapshot } from './metrics-sum.ts';

/** Wide enough for an answer from memory and for one that waits for PostgreSQL. */
const DURATION_BOUNDS_S = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
];
/** The loop should not keep anybody waiting for more than 10 ms. */
const LOOP_BOUNDS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
/** Close together around the bound, so that the longest is known well. */
const TURN_BOUNDS_S = [
  0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.009, 0.01, 0.0125, 0.015, 0.02, 0.03,
  0.05, 0.1, 0.25, 1,
];
const BATCH_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/** One value, or one for each set of labels. */
export type GaugeReading =
  | number
  | readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];

export interface Metrics {
  /** For HttpHooks.onRequest. */
  readonly onRequest: (pattern: string, status: number, durationMs: number) => void;
  /** For HttpHooks.onAbort. */
  readonly onAbort: (pattern: string) => void;
  readonly countOutcome: (operation: string, outcome: OutcomeName) => void;
  /** For LaneHooks.onBatch. */
  readonly onBatch: (script: string, operations: number, durationMs: number) => void;
  /** For LaneHooks.onFenced. */
  readonly onFenced: (reason: string) => void;
  /** A reserve was answered as sold out without asking Redis. */
  readonly countSoldOutKnown: (operation: string) => void;
  /** For LaneHooks.onUnreadable; `kind` is cell or record. */
  readonly countUnreadable: (kind: string) => void;
  /** The backlog of the log entered a level. */
  readonly countBacklogLevel: (level: string) => void;
  /** A request was refused because the log is full. */
  readonly countLogFull: (request: string) => void;
  /** A store failed; `store` is redis, postgres or kafka. */
  readonly countStoreError: (store: string) => void;
  /**
   * A value that is read at each scrape; more than SERIES_MAX sets of labels are cut off. When
   * `read` fails the gauge shows NaN (with labels: nothing), and the others as they are.
   */
  readonly gauge: (
    name: string,
    help: string,
    labels: readonly string[],
    read: () => GaugeReading | Promise<GaugeReading>,
  ) => void;
  /** The text format of Prometheus. */
  readonly render: () => Promise<string>;
  /** The same as data, for a process that adds several up; `counts` leaves gauges out, and unread. */
  readonly snapshot: (what?: 'all' | 'counts') => Promise<MetricsSnapshot>;
  readonly contentType: string;
}

/** `processMetrics`: also CPU, memory, event loop and garbage collection of this process. */
export function createMetrics(options: { readonly processMetrics: boolean }): Metrics {
  const registry = new Registry();
  if (options.processMetrics) {
    collectDefaultMetrics({ register: registry });
    loopMetrics(registry);
  }
  return {
    ...httpMetrics(registry),
    ...laneMetrics(registry),
    ...backlogMetrics(registry),
    gauge: (name, help, labels, read) => registerGauge(registry, name, help, labels, read),
    render: () => registry.metrics(),
    snapshot: (what = 'all') => snapshotOf(registry, what),
    contentType: registry.contentType,
  };
}

async function snapshotOf(registry: Registry, what: 'all' | 'counts'): Promise<MetricsSnapshot> {
  const metrics = registry
    .getMetricsAsArray()
    .flatMap(({ name }) => registry.getSingleMetric(name) ?? [])
    .filter((metric) => what === 'all' || !(metric instanceof Gauge));
  const families = await Promise.all(metrics.map((metric) => metric.get()));
  return families.map(({ name, help, type, values }) => ({
    name,
    help,
    // prom-client's types say a number, its objects hold the word.
    type: String(type),
    values: values.map((each) => ({
      value: each.value,
      labels: labelsOf(each.labels),
      ...('metricName' in each && { metricName: String(each.metricName) }),
    })),
  }));
}

function labelsOf(labels: Readonly<Record<string, string | number | undefined>>) {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)]));
}

function loopMetrics(registry: Registry): void {
  const delays = new HotHistogram({
    name: 'holdfast_event_loop_delay_seconds',
    help: 'By how much a timer of 10 ms was late: how long the event loop was blocked.',
    labels: [],
    registry,
    bounds: LOOP_BOUNDS_S,
  });
  watchLoopDelay((delayS) => delays.observe('', delayS));
  const turns = new HotHistogram({
    name: 'holdfast_event_loop_turn_cpu_seconds',
    help: 'CPU of a turn of the event loop, of those that lasted a millisecond or more.',
    labels: [],
    registry,
    bounds: TURN_BOUNDS_S,
  });
  watchTurns((cpuS) => turns.observe('', cpuS));
}

function httpMetrics(registry: Registry): Pick<Metrics, 'onRequest' | 'onAbort' | 'countOutcome'> {
  const requests = new HotCounter({
    name: 'holdfast_http_requests_total',
    help: 'Answers by route and status.',
    labels: ['route', 'status'],
    registry,
  });
  const durations = new HotHistogram({
    name: 'holdfast_http_request_duration_seconds',
    help: 'From the head of a request to its answer.',
    labels: ['route'],
    registry,
    bounds: DURATION_BOUNDS_S,
  });
  const aborts = new HotCounter({
    name: 'holdfast_http_aborted_total',
    help: 'Requests whose client went away before the answer.',
    labels: ['route'],
    registry,
  });
  const outcomes = new HotCounter({
    name: 'holdfast_outcomes_total',
    help: 'Outcomes by operation; the names are those of the problem pages.',
    labels: ['operation', 'outcome'],
    registry,
  });
  return {
    onRequest: (pattern, status, durationMs) => {
      requests.add(pattern, String(status));
      durations.observe(pattern, durationMs / 1_000);
    },
    onAbort: (pattern) => aborts.add(pattern),
    countOutcome: (operation, outcome) => outcomes.add(operation, outcome),
  };
}

function laneMetrics(
  registry: Registry,
): Pick<
  Metrics,
  'onBatch' | 'onFenced' | 'countSoldOutKnown' | 'countUnreadable' | 'countStoreError'
> {
  const sizes = new HotHistogram({
    name: 'holdfast_lane_batch_operations',
    help: 'Operations that went to Redis in one script.',
    labels: ['script'],
    registry,
    bounds: BATCH_BOUNDS,
  });
  const durations = new HotHistogram({
    name: 'holdfast_lane_batch_duration_seconds',
    help: 'From the sending of a batch to its reply.',
    labels: ['script'],
    registry,
    bounds: DURATION_BOUNDS_S,
  });
  const fenced = new HotCounter({
    name: 'holdfast_lane_fenced_total',
    help: 'Batches that a lane refused, by reason.',
    labels: ['reason'],
    registry,
  });
  const known = new HotCounter({
    name: 'holdfast_sold_out_known_total',
    help: 'Answers "sold out" that cost Redis nothing, because it had said so a moment before.',
    labels: ['operation'],
    registry,
  });
  const unreadable = new HotCounter({
    name: 'holdfast_lane_unreadable_total',
    help: 'Times that a cell or record in Redis was met which cannot be read.',
    labels: ['kind'],
    registry,
  });
  const errors = new HotCounter({
    name: 'holdfast_store_errors_total',
    help: 'Calls to a store that failed.',
    labels: ['store'],
    registry,
  });
  return {
    onBatch: (script, operations, durationMs) => {
      sizes.observe(script, operations);
      durations.observe(script, durationMs / 1_000);
    },
    onFenced: (reason) => fenced.add(reason),
    countSoldOutKnown: (operation) => known.add(operation),
    countUnreadable: (kind) => unreadable.add(kind),
    countStoreError: (store) => errors.add(store),
  };
}

function backlogMetrics(registry: Registry): Pick<Metrics, 'countBacklogLevel' | 'countLogFull'> {
  const levels = new HotCounter({
    name: 'holdfast_log_backlog_levels_total',
    help: 'Times that what waits for PostgreSQL entered a level: calm, alarm, full, hard.',
    labels: ['level'],
    registry,
  });
  const refused = new HotCounter({
    name: 'holdfast_log_full_total',
    help: 'Requests that were refused because the log is full.',
    labels: ['request'],
    registry,
  });
  return {
    countBacklogLevel: (level) => levels.add(level),
    countLogFull: (request) => refused.add(request),
  };
}

function registerGauge(
  registry: Registry,
  name: string,
  help: string,
  labels: readonly string[],
  read: () => GaugeReading | Promise<GaugeReading>,
): void {
  new Gauge({
    name,
    help,
    labelNames: [...labels],
    registers: [registry],
    async collect() {
      this.reset();
      const reading = await readOr(labels.length === 0 ? Number.NaN : [], read);
      if (typeof reading === 'number') this.set(reading);
      else for (const each of reading.slice(0, SERIES_MAX)) this.set(each.labels, each.value);
    },
  });
}

/** A store that does not answer must not cost us the other metrics. */
async function readOr(
  nothing: GaugeReading,
  read: () => GaugeReading | Promise<GaugeReading>,
): Promise<GaugeReading> {
  try {
    return await read();
  } catch {
    return nothing;
  }
}

export { OTHER, SERIES_MAX };
