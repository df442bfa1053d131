/** How hard a scenario loads: closed loop to see what is carried, open loop at a part of it. */
import type { FlowSpec } from '../measure/flows.ts';
import { generateLoad } from '../measure/load.ts';
import type { FlowPlan, LoadResult, StreamPlan } from '../measure/wire-load.ts';
import type { Fact, Phase, Series, World } from '../scenario.ts';

/** Open loop at no more than this part of what the closed loop carried: beyond it queues grow. */
export const OPEN_LOAD = 0.6;

/** Requests a second for an open loop, at most `rateMax`. */
export function openRate(
  closed: Phase,
  rateMax = Number.POSITIVE_INFINITY,
  load = OPEN_LOAD,
): number {
  return roundRate(Math.min(rateMax, servedPerSecond(closed) * load));
}

/** To two digits, so that runs of like machines have the same one; at least 1. */
export function roundRate(rate: number): number {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(rate)) - 1);
  return Math.max(1, Math.floor(rate / step) * step);
}

/** Answers that served: a 503 is none. */
export function servedPerSecond({ load }: Pick<Phase, 'load'>): number {
  return (load.answers - refusedToServe(load)) / load.seconds;
}

function refusedToServe({ byStatus }: Pick<LoadResult, 'byStatus'>): number {
  return Object.entries(byStatus).reduce(
    (sum, [status, count]) => sum + (Number(status) >= 500 ? count : 0),
    0,
  );
}

/** Nothing on a machine that keeps up. */
export function refusalFacts(phases: readonly Phase[]): Fact[] {
  return phases.flatMap(({ name, load }) => {
    const value = refusedToServe(load) + load.timeouts;
    if (value === 0) return [];
    return [{ what: `${name}: requests not served`, value, unit: '', better: 'lower' } as const];
  });
}

export interface LoadSize {
  readonly callers: number;
  readonly seconds: number;
}

/** One flow, closed loop unless a rate is given. */
export function measureFlow(
  world: World,
  name: string,
  { callers, seconds }: LoadSize,
  flow: FlowSpec,
  rate?: number,
): Promise<Phase> {
  const stream = { callers, flow, ...(rate !== undefined && { rate }) };
  return measureStreams(world, name, seconds, [stream]);
}

export interface LoopsSize {
  readonly callers: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/** Of one flow, in their order: the closed loop says at which rate the open one is due. */
export interface Loops {
  readonly warm: Phase;
  readonly closed: Phase;
  readonly open: Phase;
}

export async function measureLoops(
  world: World,
  { callers, warmUpSeconds, seconds }: LoopsSize,
  flow: (phase: string) => FlowSpec,
  onProgress: (what: string) => void,
): Promise<Loops> {
  const bounds = { callers, seconds };
  onProgress('warming up');
  const warmUp = { callers, seconds: warmUpSeconds };
  const warm = await measureFlow(world, 'warm-up', warmUp, flow('warm'));
  onProgress('closed loop');
  const closed = await measureFlow(world, 'closed loop', bounds, flow('closed'));
  const rate = openRate(closed);
  onProgress(`open loop, ${rate} a second`);
  const open = await measureFlow(world, 'open loop', bounds, flow('open'), rate);
  return { warm, closed, open };
}

/** Several beside each other. */
export async function measureStreams(
  world: World,
  name: string,
  seconds: number,
  streams: readonly StreamPlan[],
): Promise<Phase> {
  const { hostname: host, port } = new URL(world.shop.url);
  const plan: FlowPlan = { host, port: Number(port), seconds, streams };
  const open = streams.flatMap(({ rate }) => (rate === undefined ? [] : [rate]));
  // With an open stream among them the answers a second are what was asked for, not what is carried.
  const rate = open.reduce((sum, each) => sum + each, 0);
  return await world.measure(name, () => generateLoad(plan), open.length > 0 ? { rate } : {});
}

/** Answers with one of these statuses in each second of a phase. */
export function answersOverTime(
  name: string,
  { load }: Phase,
  label: string,
  statuses: readonly number[],
): Series {
  const perSecond = load.byLabel[label]?.perSecond ?? {};
  const seconds = Math.max(0, ...Object.values(perSecond).map(({ length }) => length));
  const at = (second: number): number =>
    statuses.reduce((sum, status) => sum + (perSecond[String(status)]?.[second] ?? 0), 0);
  return {
    name,
    unit: '/s',
    points: Array.from({ length: seconds }, (_, second) => [second, at(second)] as const),
  };
}

/** An engine that has too much to do says so; flows ask again, and audits know what stayed open. */
const NOT_SERVED: readonly string[] = ['503', 'timeout'];

/** Throws unless every answer with the label has one of the statuses, or none came. */
export function requireStatuses(phase: Phase, label: string, wanted: readonly number[]): void {
  const { byStatus = {}, firstRefusals } = phase.load.byLabel[label] ?? {};
  const isWanted = (status: string): boolean =>
    wanted.includes(Number(status)) || NOT_SERVED.includes(status);
  if (Object.keys(byStatus).every(isWanted)) return;
  const found = JSON.stringify({ byStatus, firstRefusals });
  throw new Error(`${phase.name}: ${label} should answer ${wanted.join(' or ')}, got ${found}`);
}
