/** The plots of a scenario: pure, from its report. */
import type { Histogram } from '../measure/engine-metrics.ts';
import { perSecond } from '../phase.ts';
import type { Phase, ProcessCost, ScenarioReport, Series } from '../scenario.ts';
import {
  bar,
  decades,
  line,
  linearTicks,
  PLOT_WIDTH,
  type Plot,
  path,
  short,
  text,
} from './svg.ts';
import { histogramRanges, phaseTitle } from './words.ts';

/** Of what costs, in the order in which it is stacked. */
const PROCESS_COLOURS: Readonly<Record<ProcessCost['name'], string>> = {
  engine: '#3b82c4',
  redis: '#d1495b',
  persister: '#e6a23c',
  relay: '#9c6ade',
  recovery: '#6b8e23',
  postgres: '#2a9d8f',
  kafka: '#8d6e63',
  load: '#9aa0a6',
};
const PERCENTILES = [
  { key: 'p50Ms', name: 'p50', colour: '#9ecae1' },
  { key: 'p90Ms', name: 'p90', colour: '#6baed6' },
  { key: 'p99Ms', name: 'p99', colour: '#3b82c4' },
  { key: 'p999Ms', name: 'p99.9', colour: '#e6a23c' },
  { key: 'maxMs', name: 'max', colour: '#d1495b' },
] as const;
const ONE_COLOUR = '#3b82c4';

const MARGIN = 12;
const TITLE_HEIGHT = 24;
const AXIS_HEIGHT = 24;
const LEGEND_HEIGHT = 20;
/** A row: its name above its bar, so that names may be long. */
const ROW_HEIGHT = 36;
const BAR_HEIGHT = 12;
/** Beside the longest bar, for its number. */
const NUMBER_WIDTH = 90;
const CHART_HEIGHT = 140;
const LABEL_WIDTH = 56;
/** So that nothing is divided by nothing where no CPU was told. */
const US_MIN = 0.001;

export function plotsOf(report: ScenarioReport): Plot[] {
  const { name, phases, series } = report;
  const isMeasured = phases.some(({ load }) => load.answers > 0);
  return [
    ...(isMeasured
      ? [throughputPlot(name, phases), latencyPlot(name, phases), cpuPlot(name, phases)]
      : []),
    ...batchPlots(name, phases),
    ...series.flatMap((each, i) => seriesPlot(`${name}-series-${i + 1}`, each)),
    ...phases.flatMap((phase, i) => answersOverTime(`${name}-phase-${i + 1}`, phase)),
  ];
}

function throughputPlot(scenario: string, phases: readonly Phase[]): Plot {
  const max = Math.max(...phases.map(perSecond));
  const width = PLOT_WIDTH - 2 * MARGIN - NUMBER_WIDTH;
  const rows = phases.map((phase, i) => {
    const y = TITLE_HEIGHT + i * ROW_HEIGHT;
    const long = (perSecond(phase) / max) * width;
    const said = `${short(perSecond(phase))}/s`;
    const place = { x: MARGIN, y: y + 16, width: long, height: BAR_HEIGHT };
    return [
      text(MARGIN, y + 11, phaseTitle(phase), { kind: 'faint' }),
      bar(place, ONE_COLOUR, `${phaseTitle(phase)}: ${said}`),
      text(MARGIN + long + 6, y + 26, said),
    ].join('');
  });
  return {
    name: `${scenario}-throughput`,
    ...titled(`${scenario}: answers a second`),
    height: TITLE_HEIGHT + phases.length * ROW_HEIGHT + MARGIN,
    body: heading(`${scenario}: answers a second`) + rows.join(''),
  };
}

/** On a logarithmic axis: what is far from the median is what one looks for. */
function latencyPlot(scenario: string, phases: readonly Phase[]): Plot {
  const title = `${scenario}: latency, ms`;
  const values = phases
    .filter(({ load }) => load.answers > 0)
    .flatMap(({ load }) => PERCENTILES.map(({ key }) => load.latency[key]))
    .filter((ms) => ms > 0);
  const ticks = decades(Math.min(...values), Math.max(...values));
  const [low = 1] = ticks;
  const high = ticks.at(-1) ?? 10;
  const width = PLOT_WIDTH - 4 * MARGIN;
  const x = (ms: number): number =>
    2 * MARGIN + (Math.log(Math.max(ms, low) / low) / Math.log(high / low)) * width;
  const top = TITLE_HEIGHT + LEGEND_HEIGHT;
  const bottom = top + phases.length * ROW_HEIGHT;
  const grid = ticks.map(
    (ms) =>
      line([x(ms), top], [x(ms), bottom], 'grid') +
      text(x(ms), bottom + 14, short(ms), { anchor: 'middle', kind: 'faint' }),
  );
  const rows = phases.map((phase, i) => latencyRow(phase, top + i * ROW_HEIGHT, x));
  return {
    name: `${scenario}-latency`,
    ...titled(title),
    height: bottom + AXIS_HEIGHT,
    body: [heading(title), legend(PERCENTILES), ...grid, ...rows].join(''),
  };
}

function latencyRow(phase: Phase, y: number, x: (ms: number) => number): string {
  const { latency, answers } = phase.load;
  const { p50Ms, p99Ms, maxMs } = latency;
  const said = `p50 ${short(p50Ms)}, p99 ${short(p99Ms)}, max ${short(maxMs)}`;
  // A phase may have no answers, or only a sum of them: nobody took the time of each.
  const isTimed = answers > 0 && maxMs > 0;
  const title = isTimed ? `${phaseTitle(phase)}: ${said}` : phaseTitle(phase);
  const name = text(2 * MARGIN, y + 11, title, { kind: 'faint' });
  if (!isTimed) return name;
  const middle = y + 22;
  const marks = PERCENTILES.map(({ key, name: which, colour }) => {
    const ms = latency[key];
    const place = { x: x(ms) - 3, y: middle - 6, width: 6, height: BAR_HEIGHT };
    return bar(place, colour, `${phaseTitle(phase)}: ${which} ${short(ms)} ms`);
  });
  return name + line([x(p50Ms), middle], [x(maxMs), middle], 'axis') + marks.join('');
}

function cpuPlot(scenario: string, phases: readonly Phase[]): Plot {
  const title = `${scenario}: CPU of an answer, us`;
  const shares = phases.map((phase) => ({ phase, parts: cpuParts(phase) }));
  const total = (parts: readonly CpuPart[]): number => parts.reduce((sum, { us }) => sum + us, 0);
  const max = Math.max(US_MIN, ...shares.map(({ parts }) => total(parts)));
  const width = PLOT_WIDTH - 2 * MARGIN - NUMBER_WIDTH;
  const top = TITLE_HEIGHT + LEGEND_HEIGHT;
  const rows = shares.map(({ phase, parts }, i) => {
    const y = top + i * ROW_HEIGHT;
    let x = MARGIN;
    const bars = parts.map(({ name, us }) => {
      const long = (us / max) * width;
      const place = { x, y: y + 16, width: long, height: BAR_HEIGHT };
      x += long;
      return bar(place, PROCESS_COLOURS[name], `${phaseTitle(phase)}: ${name} ${short(us)} us`);
    });
    const sum = text(x + 6, y + 26, `${short(total(parts))} us`);
    return text(MARGIN, y + 11, phaseTitle(phase), { kind: 'faint' }) + bars.join('') + sum;
  });
  const names = new Set<string>(shares.flatMap(({ parts }) => parts.map(({ name }) => name)));
  const known = Object.entries(PROCESS_COLOURS)
    .filter(([name]) => names.has(name))
    .map(([name, colour]) => ({ name, colour }));
  return {
    name: `${scenario}-cpu`,
    ...titled(title),
    height: top + phases.length * ROW_HEIGHT + MARGIN,
    body: [heading(title), legend(known), ...rows].join(''),
  };
}

interface CpuPart {
  readonly name: ProcessCost['name'];
  readonly us: number;
}

function cpuParts({ processes, load }: Phase): CpuPart[] {
  const order = Object.keys(PROCESS_COLOURS);
  return processes
    .map(({ name, cpuUs }) => ({ name, us: cpuUs / load.answers }))
    .filter(({ us }) => Number.isFinite(us) && us > 0)
    .sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
}

function batchPlots(scenario: string, phases: readonly Phase[]): Plot[] {
  return phases.flatMap((phase, i) =>
    phase.batches.count === 0
      ? []
      : [
          histogramPlot(
            `${scenario}-batches-${i + 1}`,
            `${scenario}: operations in a batch, ${phaseTitle(phase)}`,
            phase.batches,
          ),
        ],
  );
}

function histogramPlot(name: string, title: string, { count, buckets }: Histogram): Plot {
  const all = histogramRanges(buckets);
  const isThere = all.map(({ some }) => some > 0);
  // With the empty ones in between, which are part of its shape.
  const ranges = all.slice(isThere.indexOf(true), isThere.lastIndexOf(true) + 1);
  const max = Math.max(...ranges.map(({ some }) => some));
  const step = (PLOT_WIDTH - 2 * MARGIN) / ranges.length;
  const base = TITLE_HEIGHT + 14 + CHART_HEIGHT;
  const bars = ranges.map(({ range, some }, i) => {
    const x = MARGIN + i * step;
    const high = (some / max) * CHART_HEIGHT;
    const share = `${short((100 * some) / count)} %`;
    const place = { x: x + 2, y: base - high, width: Math.min(step - 4, 80), height: high };
    return [
      bar(place, ONE_COLOUR, `${range} operations: ${some} batches, ${share}`),
      text(x + 2, base - high - 4, share, { kind: 'faint' }),
      text(x + 2, base + 14, range, { kind: 'faint' }),
    ].join('');
  });
  return {
    name,
    ...titled(title),
    height: base + AXIS_HEIGHT,
    body: heading(title) + bars.join(''),
  };
}

/** None of what has no course. */
function seriesPlot(name: string, { name: what, unit, points: all }: Series): Plot[] {
  const points = all.filter(([atS, value]) => Number.isFinite(atS) && Number.isFinite(value));
  if (points.length < 2) return [];
  const title = unit === '' ? what : `${what}, ${unit}`;
  const ticks = linearTicks(Math.max(0, ...points.map(([, value]) => value)));
  const high = ticks.at(-1) ?? 1;
  const fromS = Math.min(...points.map(([atS]) => atS));
  const toS = Math.max(fromS + 1e-3, ...points.map(([atS]) => atS));
  const top = TITLE_HEIGHT + 6;
  const base = top + CHART_HEIGHT;
  const right = PLOT_WIDTH - 2 * MARGIN;
  const left = LABEL_WIDTH + MARGIN;
  const x = (atS: number): number => left + ((atS - fromS) / (toS - fromS)) * (right - left);
  const y = (value: number): number => base - (value / high) * CHART_HEIGHT;
  const grid = ticks.map(
    (tick) =>
      line([left, y(tick)], [right, y(tick)], 'grid') +
      text(left - 6, y(tick) + 4, short(tick), { anchor: 'end', kind: 'faint' }),
  );
  const times = [fromS, toS].map((atS) =>
    text(x(atS), base + 16, `${short(atS)} s`, { anchor: 'middle', kind: 'faint' }),
  );
  const drawn = path(points.map(([atS, value]) => [x(atS), y(Math.max(0, value))]));
  const axis = line([left, base], [right, base], 'axis');
  return [
    {
      name,
      ...titled(title),
      height: base + AXIS_HEIGHT,
      body: [heading(title), ...grid, axis, ...times, drawn].join(''),
    },
  ];
}

/** Of a phase that lasted long enough to have a course. */
function answersOverTime(name: string, phase: Phase): Plot[] {
  const seconds = new Map<number, number>();
  for (const { perSecond: byStatus } of Object.values(phase.load.byLabel)) {
    for (const counts of Object.values(byStatus)) {
      counts.forEach((count, second) => {
        seconds.set(second, (seconds.get(second) ?? 0) + count);
      });
    }
  }
  // The last second is not a whole one.
  const points = [...seconds].sort(([a], [b]) => a - b).slice(0, -1);
  if (points.length < SECONDS_MIN) return [];
  return seriesPlot(name, { name: `${phaseTitle(phase)}: answers`, unit: '/s', points });
}

const SECONDS_MIN = 4;

function titled(title: string): Pick<Plot, 'title' | 'width'> {
  return { title, width: PLOT_WIDTH };
}

function heading(title: string): string {
  return text(MARGIN, 16, title, { kind: 'title' });
}

function legend(entries: readonly { readonly name: string; readonly colour: string }[]): string {
  let x = MARGIN;
  return entries
    .map(({ name, colour }) => {
      const place = { x, y: TITLE_HEIGHT + 3, width: 10, height: 10 };
      const drawn = bar(place, colour, name) + text(x + 14, TITLE_HEIGHT + 12, name);
      x += 14 + name.length * 7 + 14;
      return drawn;
    })
    .join('');
}
