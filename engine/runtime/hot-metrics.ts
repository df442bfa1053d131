/**
 * Metrics for the hot path. prom-client's own cost 0.3 to 0.4 us a call (it hashes the labels each
 * time); these count in plain fields for about 0.02 us and hand their values over at a scrape.
 *
 * Each family has a bound on its series: what comes beyond it is counted under OTHER, because a
 * label that a client can choose must not be able to fill our memory and the scraper's.
 */
import type { Registry } from 'prom-client';
import { Counter, Histogram } from 'prom-client';

export const SERIES_MAX = 200;
export const OTHER = 'other';

interface FamilyOptions<Label extends string> {
  readonly name: string;
  readonly help: string;
  /** Two at most. */
  readonly labels: readonly Label[];
  readonly registry: Registry;
}

/** The cells of a family with one label, or with two: no key is put together to find one. */
class Series<Cell> {
  readonly #cells = new Map<string, Map<string, Cell>>();
  readonly #make: () => Cell;
  #count = 0;
  /** The one that was asked for last: in a rush it is nearly always the next one, too. */
  #lastFirst: string | undefined;
  #lastSecond = '';
  #last: Cell | undefined;

  constructor(make: () => Cell) {
    this.#make = make;
  }

  of(first: string, second: string): Cell {
    const last = this.#last;
    if (last !== undefined && first === this.#lastFirst && second === this.#lastSecond) return last;
    const cell = this.#cells.get(first)?.get(second) ?? this.#add(first, second);
    this.#lastFirst = first;
    this.#lastSecond = second;
    this.#last = cell;
    return cell;
  }

  #add(first: string, second: string): Cell {
    const isOther = first === OTHER && (second === OTHER || second === '');
    if (this.#count >= SERIES_MAX && !isOther) return this.of(OTHER, second === '' ? '' : OTHER);
    const cell = this.#make();
    const cells = this.#cells.get(first) ?? new Map<string, Cell>();
    this.#cells.set(first, cells.set(second, cell));
    this.#count += 1;
    return cell;
  }

  *entries<Label extends string>(
    labels: readonly Label[],
  ): Generator<readonly [Record<Label, string>, Cell]> {
    for (const [first, cells] of this.#cells) {
      for (const [second, cell] of cells) {
        const named = labels.map((label, at) => [label, at === 0 ? first : second] as const);
        yield [Object.fromEntries(named) as Record<Label, string>, cell];
      }
    }
  }
}

/** Counts events; `add` costs one look-up. */
export class HotCounter<Label extends string> {
  readonly #series = new Series<{ count: number }>(() => ({ count: 0 }));

  constructor({ name, help, labels, registry }: FamilyOptions<Label>) {
    const series = this.#series;
    new Counter({
      name,
      help,
      labelNames: [...labels],
      registers: [registry],
      collect() {
        this.reset();
        for (const [named, { count }] of series.entries(labels)) this.inc(named, count);
      },
    });
  }

  /** Values in the order of the labels; '' for a second one that the family does not have. */
  add(first: string, second = ''): void {
    this.#series.of(first, second).count += 1;
  }
}

interface Observed {
  readonly buckets: number[];
  sum: number;
  count: number;
}

export class HotHistogram<Label extends string> {
  readonly #bounds: readonly number[];
  readonly #series: Series<Observed>;

  /** `bounds` ascending, in the unit that the name ends in. */
  constructor(options: FamilyOptions<Label> & { readonly bounds: readonly number[] }) {
    this.#bounds = options.bounds;
    const series = new Series<Observed>(() => ({
      buckets: options.bounds.map(() => 0),
      sum: 0,
      count: 0,
    }));
    this.#series = series;
    options.registry.registerMetric(new CollectedHistogram(options, series));
  }

  observe(first: string, value: number): void {
    const observed = this.#series.of(first, '');
    observed.sum += value;
    observed.count += 1;
    for (let at = 0; at < this.#bounds.length; at += 1) {
      if (value > (this.#bounds[at] ?? 0)) continue;
      observed.buckets[at] = (observed.buckets[at] ?? 0) + 1;
      return;
    }
  }
}

/** prom-client's histogram, whose values come from ours. */
class CollectedHistogram<Label extends string> extends Histogram<Label> {
  readonly #bounds: readonly number[];
  readonly #labels: readonly Label[];
  readonly #name: string;
  readonly #observed: Series<Observed>;
  /** Describes the family; nothing is ever observed in it. */
  readonly #empty: Histogram<Label>;

  constructor(
    options: FamilyOptions<Label> & { readonly bounds: readonly number[] },
    series: Series<Observed>,
  ) {
    const { name, help, labels, bounds } = options;
    const described = { name, help, labelNames: [...labels], buckets: [...bounds], registers: [] };
    super(described);
    this.#empty = new Histogram(described);
    this.#name = name;
    this.#bounds = bounds;
    this.#labels = labels;
    this.#observed = series;
  }

  override async get(): ReturnType<Histogram<Label>['get']> {
    const described = await this.#empty.get();
    const values = [...this.#observed.entries(this.#labels)].flatMap(([labels, observed]) =>
      this.#valuesOf(labels, observed),
    );
    return { ...described, values };
  }

  /** The text format's other path, for exemplars, which we do not have. */
  getForPromString(): ReturnType<Histogram<Label>['get']> {
    return this.get();
  }

  #valuesOf(labels: Record<Label, string>, observed: Observed) {
    let below = 0;
    const buckets = this.#bounds.map((bound, at) => {
      below += observed.buckets[at] ?? 0;
      return {
        metricName: `${this.#name}_bucket`,
        labels: { ...labels, le: String(bound) },
        value: below,
      };
    });
    return [
      ...buckets,
      {
        metricName: `${this.#name}_bucket`,
        labels: { ...labels, le: '+Inf' },
        value: observed.count,
      },
      { metricName: `${this.#name}_sum`, labels, value: observed.sum },
      { metricName: `${this.#name}_count`, labels, value: observed.count },
    ];
  }
}
