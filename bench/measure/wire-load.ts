/**
 * The load generator: callers over keep-alive connections, each with one request under way. It reads
 * of an answer no more than its status and its length unless a flow asks, so that it leaves the
 * cores to what is measured.
 *
 * Closed loop: each caller sends as soon as it is answered. Open loop: every millisecond as many
 * requests are due as the rate says, whatever is unanswered; a latency counts from there, so a
 * server that stalls, or a generator that is late, hides nothing (coordinated omission).
 */
import type { LatencySummary } from '../load/latency.ts';
import type { FlowSource } from './flow.ts';
import { createFlow, type FlowSpec } from './flows.ts';
import { LoadStream } from './load-stream.ts';
import { type LabelResult, LoadTally } from './load-tally.ts';

interface PlanBase {
  readonly host: string;
  readonly port: number;
  readonly seconds: number;
  /** Of them, the first, in which what is due has no part in the latencies: generator and engine warm up. */
  readonly warmUpSeconds?: number;
  /** Of a request, from its sending; then it counts as `timeout`. */
  readonly timeoutMs?: number;
  /** How long after the end requests are sent that were due before; what is left is `unsent`. */
  readonly drainMs?: number;
  /**
   * Open loop: a request that no free connection took within it of its due time counts as `unsent`.
   * Absent: it waits for one, however long.
   */
  readonly patienceMs?: number;
}

/** One and the same request. */
export interface LoadPlan extends PlanBase {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
  readonly connections: number;
  /** Requests a second; absent: closed loop. */
  readonly rate?: number;
}

/** Requests that vary and follow from answers; several kinds of callers beside each other. */
export interface FlowPlan extends PlanBase {
  readonly streams: readonly StreamPlan[];
}

export interface StreamPlan {
  /** Each is one connection. */
  readonly callers: number;
  /** Requests a second, of all its callers; absent: closed loop. */
  readonly rate?: number;
  readonly flow: FlowSpec;
}

export interface LoadResult {
  readonly answers: number;
  /** With `timeout`, where there were any. */
  readonly byStatus: Readonly<Record<string, number>>;
  /** From the first request to the last answer. */
  readonly seconds: number;
  /** Of all labels; a timeout counts as long as it took. */
  readonly latency: LatencySummary;
  /** Of the generator, us a request. */
  readonly cpuUsPerRequest: number;
  /** Of the generator, at the end. */
  readonly rssBytes: number;
  /** Open loop: most requests that waited for a free connection at one time. */
  readonly backlogMax: number;
  /** Requests without an answer in time. */
  readonly timeouts: number;
  /** Open loop: requests that were due and were not sent, because no connection was free in time. */
  readonly unsent: number;
  readonly byLabel: Readonly<Record<string, LabelResult>>;
  /** What the flows make of the answers, summed over the streams. */
  readonly tally: Readonly<Record<string, number>>;
}

const TIMEOUT_MS = 30_000;
const DRAIN_MS = 30_000;

/** Rejects when a connection is lost or an answer cannot be read: then nothing was measured. */
export async function runLoad(plan: LoadPlan | FlowPlan): Promise<LoadResult> {
  const tally = new LoadTally((plan.warmUpSeconds ?? 0) * 1_000);
  const running = await Promise.all(
    streamsOf(plan).map((stream) => prepareStream(plan, stream, tally)),
  );
  const streams = running.map(({ stream }) => stream);
  try {
    for (const stream of streams) await stream.connect();
    const cpu = process.cpuUsage();
    const startMs = performance.now();
    await Promise.all(streams.map((stream) => stream.run(startMs)));
    const { user, system } = process.cpuUsage(cpu);
    const cpuUs = user + system;
    return {
      answers: tally.answers,
      byStatus: tally.byStatus(),
      seconds: (performance.now() - startMs) / 1_000,
      latency: tally.latency(),
      cpuUsPerRequest: cpuUs / Math.max(1, tally.answers + tally.timeouts),
      rssBytes: process.memoryUsage.rss(),
      backlogMax: Math.max(...streams.map(({ backlogMax }) => backlogMax)),
      timeouts: tally.timeouts,
      unsent: streams.reduce((sum, { unsent }) => sum + unsent, 0),
      byLabel: tally.byLabel(),
      tally: sumOf(running.map(({ source }) => source.tally?.() ?? {})),
    };
  } finally {
    for (const stream of streams) stream.close();
  }
}

/** How long it may take in all, from the first request. */
export function loadMsMax(plan: LoadPlan | FlowPlan): number {
  return plan.seconds * 1_000 + (plan.drainMs ?? DRAIN_MS) + (plan.timeoutMs ?? TIMEOUT_MS);
}

function streamsOf(plan: LoadPlan | FlowPlan): readonly StreamPlan[] {
  if ('streams' in plan) return plan.streams;
  const { method, path, body, connections, rate } = plan;
  const params = { method, path, ...(body !== undefined && { body }) };
  const flow = { name: 'fixed', params } as const;
  return [{ callers: connections, flow, ...(rate !== undefined && { rate }) }];
}

async function prepareStream(
  plan: LoadPlan | FlowPlan,
  { callers, rate, flow }: StreamPlan,
  tally: LoadTally,
): Promise<{ readonly source: FlowSource; readonly stream: LoadStream }> {
  const { host, port, seconds } = plan;
  const source = await createFlow(flow, { host, port, callers });
  const flows = Array.from({ length: callers }, (_, index) => source.caller(index));
  const stream = new LoadStream(flows, tally, {
    host,
    port,
    seconds,
    ...(rate !== undefined && { rate }),
    timeoutMs: plan.timeoutMs ?? TIMEOUT_MS,
    drainMs: plan.drainMs ?? DRAIN_MS,
    ...(plan.patienceMs !== undefined && { patienceMs: plan.patienceMs }),
  });
  return { source, stream };
}

function sumOf(tallies: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const tally of tallies) {
    for (const [name, value] of Object.entries(tally)) sums[name] = (sums[name] ?? 0) + value;
  }
  return sums;
}
