/**
 * The numbers of several processes that serve one port, as one: what counts events adds up; what
 * describes a process (a gauge, its CPU, its event loop) stays apart, under the label `worker`.
 */
import { AggregatorRegistry } from 'prom-client';

interface Value {
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Of a histogram: with _bucket, _sum or _count. */
  readonly metricName?: string;
}

interface Family {
  readonly name: string;
  readonly help: string;
  /** counter, gauge, histogram or summary. */
  readonly type: string;
  readonly values: readonly Value[];
}

/** All that one process tells at one moment; plain data, which another process can read. */
export type MetricsSnapshot = readonly Family[];

/** The process's own numbers, as prom-client names them, are nobody else's, whatever their type. */
const OF_PROCESS = /^(process|nodejs)_/;

function addsUp({ name, type }: Family): boolean {
  return (type === 'counter' || type === 'histogram') && !OF_PROCESS.test(name);
}

/** What of it is still true when its process has ended. */
export function countsOf(snapshot: MetricsSnapshot): MetricsSnapshot {
  return snapshot.filter(addsUp);
}

/** With the label `worker` on all that does not add up. */
export function labelled(snapshot: MetricsSnapshot, worker: string): MetricsSnapshot {
  return snapshot.map((family) => {
    if (addsUp(family)) return family;
    const values = family.values.map((each) => ({ ...each, labels: { worker, ...each.labels } }));
    return { ...family, values };
  });
}

/** Values of the same name and labels are added; families and series come in order of appearance. */
export function addUp(snapshots: readonly MetricsSnapshot[]): MetricsSnapshot {
  const families = new Map<string, { family: Family; values: Map<string, Value> }>();
  for (const family of snapshots.flat()) {
    const total = families.get(family.name) ?? { family, values: new Map<string, Value>() };
    families.set(family.name, total);
    for (const each of family.values) {
      const key = seriesOf(each);
      const before = total.values.get(key)?.value;
      total.values.set(key, before === undefined ? each : { ...each, value: before + each.value });
    }
  }
  return [...families.values()].map(({ family, values }) => ({
    ...family,
    values: [...values.values()],
  }));
}

function seriesOf({ metricName = '', labels }: Value): string {
  const names = Object.keys(labels).sort();
  return JSON.stringify([metricName, ...names.map((name) => [name, labels[name]])]);
}

/** The text format of Prometheus. */
export function renderSnapshot(snapshot: MetricsSnapshot): Promise<string> {
  const families = snapshot.map((family) => ({ ...family, aggregator: 'sum' }));
  return AggregatorRegistry.aggregate([families]).metrics();
}
