/** Measures the ratios once: CPU times, in rounds that alternate, so that noise hits both sides alike. */
import { generateLoad } from '../measure/load.ts';
import type { LoadPlan } from '../measure/wire-load.ts';
import { cpuUsPerAnswer, requireStatus } from '../phase.ts';
import type { Bench, World } from '../scenario.ts';
import { median, runLaneScenario } from '../scenarios/lane.ts';
import type { Ratios } from './judge.ts';

const LANE = { reservations: 30_000, rounds: 5 };
const HTTP = { rounds: 7, connections: 64, seconds: 0.4 };
const UNITS = 500_000_000;
const HOT = 'HOT';
const SOLD_OUT = 'GONE';

/** Redis CPU of a reservation in a batch : that of a bare counter's script, a request each. */
export async function laneRatios({ openStores, onProgress }: Bench): Promise<Ratios> {
  const { redis, close } = await openStores();
  const { lanes, peers } = await runLaneScenario(redis, { ...LANE, onProgress });
  await close();
  const counter = peers['EVALSHA of a bare counter'].us;
  return Object.fromEntries(
    lanes.map(({ case: { name }, us }) => [`Redis, ${name} : bare counter`, us / counter]),
  );
}

export interface HttpRatios {
  readonly ratios: Ratios;
  /** Between Redis, the log and PostgreSQL, afterwards. */
  readonly differences: readonly unknown[];
}

/** Engine CPU of an answer : that of a handler that does nothing, on the same server. */
export async function httpRatios(bench: Bench): Promise<HttpRatios> {
  const world = await bench.open();
  const { shop, persister } = world;
  await shop.receive({ [HOT]: UNITS, [SOLD_OUT]: 1 });
  await shop.buy(SOLD_OUT);
  await shop.whenPersisted();
  await persister.stop();
  const { connections, seconds, rounds } = HTTP;
  const plans = {
    reserve: shop.reservePlan(HOT, connections, seconds),
    reject: shop.reservePlan(SOLD_OUT, connections, seconds),
    empty: shop.emptyPlan(connections, seconds),
  };
  const found: { readonly reserve: number; readonly reject: number }[] = [];
  // The first round is warm-up.
  for (let round = 0; round <= rounds; round++) {
    bench.onProgress(`over HTTP, round ${round} of ${rounds}`);
    const empty = await engineUs(world, plans.empty, 200);
    const reserve = (await engineUs(world, plans.reserve, 201)) / empty;
    const reject = (await engineUs(world, plans.reject, 409)) / empty;
    if (round > 0) found.push({ reserve, reject });
  }
  bench.onProgress('audit');
  await persister.start();
  await shop.whenPersisted();
  const differences = await shop.audit();
  await world.close();
  const ratios = {
    'engine, reserve : empty handler': median(found.map(({ reserve }) => reserve)),
    'engine, rejection : empty handler': median(found.map(({ reject }) => reject)),
  };
  return { ratios, differences };
}

async function engineUs(world: World, plan: LoadPlan, status: number): Promise<number> {
  const phase = await world.measure(`${plan.method} ${plan.path}`, () => generateLoad(plan));
  return cpuUsPerAnswer(requireStatus(phase, status), 'engine');
}
