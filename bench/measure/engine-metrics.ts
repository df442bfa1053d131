/** What an engine says of itself at /metrics: CPU, memory, batches, turns of its event loop, outcomes. */

export interface EngineReading {
  /** User and system time, us; of all workers where there are several. */
  readonly cpuUs: number;
  readonly rssBytes: number;
  /** Operations by batch size: cumulative counts by upper bound, as Prometheus has them. */
  readonly batches: Histogram;
  /** Turns of the event loop that lasted a millisecond or more, by seconds of CPU; of all workers. */
  readonly turns: Histogram;
  /** By `operation outcome`. */
  readonly outcomes: ReadonlyMap<string, number>;
  /** By number; none where one process serves. */
  readonly workers: ReadonlyMap<string, WorkerReading>;
}

export interface WorkerReading {
  /** User and system time, us. */
  readonly cpuUs: number;
  /** Its connections and its own files; NaN where the system does not tell. */
  readonly openFiles: number;
}

export interface Histogram {
  readonly count: number;
  readonly sum: number;
  /** By upper bound, ascending; not cumulative. */
  readonly buckets: readonly { readonly upTo: number; readonly count: number }[];
}

export async function readEngine(url: string): Promise<EngineReading> {
  const response = await fetch(`${url}/metrics`);
  if (!response.ok) throw new Error(`${url}/metrics answers ${response.status}`);
  return parseEngine(await response.text());
}

/** Reserves, since the engine started. */
export async function countCreated(url: string): Promise<number> {
  return (await readEngine(url)).outcomes.get('reserve created') ?? 0;
}

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export function parseEngine(text: string): EngineReading {
  const samples = parseSamples(text);
  const total = (name: string): number =>
    (samples.get(name) ?? []).reduce((sum, { value }) => sum + value, 0);
  // One of each worker.
  const known = (name: string): number => (samples.has(name) ? total(name) : Number.NaN);
  const histogram = (name: string): Histogram => ({
    count: total(`${name}_count`),
    sum: total(`${name}_sum`),
    buckets: uncumulated(samples.get(`${name}_bucket`) ?? []),
  });
  return {
    cpuUs: known('process_cpu_seconds_total') * 1e6,
    rssBytes: known('process_resident_memory_bytes'),
    batches: histogram('holdfast_lane_batch_operations'),
    turns: histogram('holdfast_event_loop_turn_cpu_seconds'),
    outcomes: outcomesOf(samples.get('holdfast_outcomes_total') ?? []),
    workers: workersOf(samples),
  };
}

function parseSamples(text: string): Map<string, Sample[]> {
  const samples = new Map<string, Sample[]>();
  for (const line of text.split('\n')) {
    const [, name, labels = '', value] = /^([a-z_:]+)(?:\{(.*)\})? (\S+)/i.exec(line) ?? [];
    if (name === undefined || line.startsWith('#')) continue;
    const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, text]) => [key, text]);
    const list = samples.get(name) ?? [];
    list.push({ labels: Object.fromEntries(pairs), value: Number(value) });
    samples.set(name, list);
  }
  return samples;
}

/** What adds up has no worker's name; what a process says of itself has. */
function workersOf(samples: ReadonlyMap<string, readonly Sample[]>): Map<string, WorkerReading> {
  const byWorker = (name: string): Map<string, number> =>
    new Map((samples.get(name) ?? []).map(({ labels, value }) => [labels.worker ?? '', value]));
  const openFiles = byWorker('process_open_fds');
  return new Map(
    [...byWorker('process_cpu_seconds_total')]
      .filter(([worker]) => /^\d+$/.test(worker))
      .map(([worker, seconds]) => [
        worker,
        { cpuUs: seconds * 1e6, openFiles: openFiles.get(worker) ?? Number.NaN },
      ]),
  );
}

function outcomesOf(samples: readonly Sample[]): Map<string, number> {
  const outcomes = new Map<string, number>();
  for (const { labels, value } of samples) {
    const name = `${labels.operation} ${labels.outcome}`;
    outcomes.set(name, (outcomes.get(name) ?? 0) + value);
  }
  return outcomes;
}

function uncumulated(samples: readonly Sample[]): Histogram['buckets'] {
  const byBound = new Map<number, number>();
  for (const { labels, value } of samples) {
    const bound = labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le);
    byBound.set(bound, (byBound.get(bound) ?? 0) + value);
  }
  let below = 0;
  return [...byBound]
    .sort(([a], [b]) => a - b)
    .map(([upTo, cumulative]) => {
      const count = cumulative - below;
      below = cumulative;
      return { upTo, count };
    });
}

/** What came between two readings. */
export function histogramBetween(before: Histogram, after: Histogram): Histogram {
  const known = new Map(before.buckets.map(({ upTo, count }) => [upTo, count]));
  return {
    count: after.count - before.count,
    sum: after.sum - before.sum,
    buckets: after.buckets.map(({ upTo, count }) => ({
      upTo,
      count: count - (known.get(upTo) ?? 0),
    })),
  };
}

export function outcomesBetween(
  before: EngineReading,
  after: EngineReading,
): ReadonlyMap<string, number> {
  return new Map(
    [...after.outcomes].map(([name, count]) => [name, count - (before.outcomes.get(name) ?? 0)]),
  );
}
