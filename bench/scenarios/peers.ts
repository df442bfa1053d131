/**
 * What a user would otherwise pick, behind the same server, on the same machine, in the same run:
 * each contender alone with freshly started stores, the same drop, the same load, the same audit.
 *
 * One contender: the drop; then reserves of a SKU that does not run out, closed loop and open; then
 * the wait until no hold of the drop is left; then its processes end, its stores are
 * killed and started again, and what they have is held against what was answered. A peer that
 * oversells or leaks is a result, the engine that does so has failed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { generateLoad } from '../measure/load.ts';
import { cpuUsOf } from '../measure/process-cost.ts';
import type { LoadPlan, LoadResult } from '../measure/wire-load.ts';
import { auditSale } from '../peers/audit.ts';
import type { Contender, Entrant } from '../peers/contender.ts';
import { type Dropped, type DropSize, runDrop } from '../peers/drop.ts';
import { createEntrants } from '../peers/entrants.ts';
import { HOLDFAST } from '../peers/holdfast.ts';
import type { StoreUrls } from '../peers/peer.ts';
import {
  type ContenderReport,
  type PeerPhase,
  type PeersReport,
  toReport,
} from '../peers/report.ts';
import { type BenchStores, startBenchStores } from '../peers/stores.ts';
import type { Scenario } from '../scenario.ts';
import { OPEN_LOAD } from './pace.ts';

export interface PeersOptions {
  readonly drop: DropSize;
  readonly connections: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly onProgress: (what: string) => void;
  /** Below it the stores keep their data. */
  readonly directory: string;
  /** All by default. */
  readonly entrants?: readonly Entrant[];
}

const DROP_SKU = 'DROP';
const PLENTY_SKU = 'PLENTY';
const PLENTY = 1_000_000_000;
/** Of the reserves that are only measured: longer than any run. */
const MEASURED_TTL_S = 3_600;
/** Its jobs run once a second, on a machine that may be busy. */
const EXPIRED_MS_MAX = 60_000;
const POLL_MS = 100;
/** As many callers as a pool of application servers has; more only lengthens the queues of locks. */
const CONNECTIONS = 64;
const FULL = {
  // The slowest of them carries some sixty shoppers a second.
  drop: { shoppers: 5_000, units: 500 },
  connections: CONNECTIONS,
  seconds: 10,
  warmUpSeconds: 3,
};
const QUICK = {
  drop: { shoppers: 1_000, units: 100 },
  connections: CONNECTIONS,
  seconds: 2,
  warmUpSeconds: 1,
};

export const peers: Scenario = {
  name: 'peers',
  about: 'what one would otherwise pick, behind the same server, under the same load and audit',
  runs: 'unless quick',
  fullSeconds: 334,
  async run({ quick, directory, onProgress }) {
    return toReport(await runPeers({ ...(quick ? QUICK : FULL), directory, onProgress }));
  },
};

export async function runPeers(options: PeersOptions): Promise<PeersReport> {
  const { drop, connections, seconds, onProgress } = options;
  onProgress('starting Redis and PostgreSQL');
  const stores = await startBenchStores(options.directory);
  const contenders: ContenderReport[] = [];
  const absent: PeersReport['absent'][number][] = [];
  try {
    for (const entrant of options.entrants ?? createEntrants()) {
      try {
        onProgress(`${entrant.name}: what it needs`);
        await entrant.prepare();
        contenders.push(await runContender(entrant, stores, options));
      } catch (error) {
        if (entrant.name === HOLDFAST) throw error;
        absent.push({ name: entrant.name, reason: reasonOf(error) });
      }
    }
  } finally {
    await stores.stop();
  }
  const ours = contenders.filter(({ name }) => name === HOLDFAST);
  const ok = ours.every(({ audit, differences }) => audit.ok && differences === 0);
  return { drop, connections, seconds, contenders, absent, ok };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function runContender(
  entrant: Entrant,
  stores: BenchStores,
  options: PeersOptions,
): Promise<ContenderReport> {
  const { name } = entrant;
  const { drop, onProgress } = options;
  const urls = await stores.renew();
  onProgress(`${name}: the drop`);
  const contender = await entrant.start(urls, { [DROP_SKU]: drop.units, [PLENTY_SKU]: PLENTY });
  let dropped: Dropped;
  let phases: Measured;
  try {
    dropped = await runDrop(contender.url, DROP_SKU, drop);
    onProgress(`${name}: closed loop, open loop`);
    phases = await measureBoth(contender, stores, options);
    await whenExpired(contender);
    await contender.settle();
  } finally {
    await contender.stop();
  }
  onProgress(`${name}: its stores are killed, and the audit`);
  await stores.crash();
  const { audit, differences } = await auditContender(entrant, urls, dropped, phases, drop.units);
  const { requests } = dropped.tally;
  return {
    name,
    drop: { seconds: dropped.seconds, requests: requests.reserve + requests.commit },
    closed: phases.closed,
    open: phases.open,
    audit,
    differences,
  };
}

/** What is still held after the time limit shows in the audit. */
async function whenExpired({ countHeld }: Contender): Promise<void> {
  const untilMs = performance.now() + EXPIRED_MS_MAX;
  while ((await countHeld(DROP_SKU)) > 0 && performance.now() < untilMs) await sleep(POLL_MS);
}

interface Measured {
  readonly closed: PeerPhase;
  readonly open: ContenderReport['open'];
  /** Answers that said reserved, those of the warm-up too. */
  readonly answered: number;
}

async function measureBoth(
  contender: Contender,
  stores: BenchStores,
  { connections, seconds, warmUpSeconds }: PeersOptions,
): Promise<Measured> {
  const { host, port } = contender;
  const plan: LoadPlan = {
    ...{ host, port, connections, seconds },
    method: 'POST',
    path: '/api/v1/inventory/reserve',
    body: JSON.stringify({
      items: [{ sku_id: PLENTY_SKU, quantity: 1 }],
      ttl_seconds: MEASURED_TTL_S,
    }),
  };
  const warmUp = await measure(contender, stores, { ...plan, seconds: warmUpSeconds });
  const closed = await measure(contender, stores, plan);
  const rate = Math.max(1, Math.floor(closed.acceptedPerSecond * OPEN_LOAD));
  const open = { ...(await measure(contender, stores, { ...plan, rate })), rate };
  const answered = [warmUp, closed, open].reduce((sum, { load }) => sum + accepted(load), 0);
  return { closed, open, answered };
}

function accepted({ byStatus }: LoadResult): number {
  return byStatus['201'] ?? 0;
}

async function measure(
  contender: Contender,
  { redisPid, postgresPid }: BenchStores,
  plan: LoadPlan,
): Promise<PeerPhase> {
  const storePids = [redisPid, postgresPid, ...contender.workerPids];
  const before = { server: cpuUsOf([contender.pid]), store: cpuUsOf(storePids) };
  const load = await generateLoad(plan);
  const serverUs = cpuUsOf([contender.pid]) - before.server;
  // What an answer leaves to be done is part of its cost.
  await contender.settle();
  const storeUs = cpuUsOf(storePids) - before.store;
  const count = accepted(load);
  return {
    load,
    acceptedPerSecond: count / load.seconds,
    serverUs: serverUs / count,
    storeUs: storeUs / count,
  };
}

function auditContender(
  entrant: Entrant,
  urls: StoreUrls,
  { tally, soldIds }: Dropped,
  { answered }: Measured,
  units: number,
): Promise<Pick<ContenderReport, 'audit' | 'differences'>> {
  return entrant.withReader(urls, async (reader) => {
    const books = await reader.read(DROP_SKU);
    const plenty = await reader.read(PLENTY_SKU);
    const audit = auditSale({
      units,
      tally,
      soldIds: soldIds.length,
      soldIdsThere: await reader.countSold(soldIds),
      books,
      reserved: { answered, taken: PLENTY - plenty.forSale },
    });
    return { audit, differences: await reader.differences() };
  });
}
