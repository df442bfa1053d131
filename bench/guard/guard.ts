/**
 * Fails when the hot path has got dearer: ratios of instructions within one run, against those in
 * `ratios.json`, which are of a run of the commit that changed them last. What is worse is counted
 * again before it counts.
 */
import { readFile } from 'node:fs/promises';
import { getPriority, setPriority } from 'node:os';
import { join } from 'node:path';
import { installPrograms } from '../../deploy/local/install.ts';
import { packageRoot } from '../../deploy/local/paths.ts';
import { atMost } from '../budgets.ts';
import type { Bench, Scenario, ScenarioReport } from '../scenario.ts';
import { type EngineCounts, engineRatios } from './engine-ratios.ts';
import { type Judgement, judge, type Ratios, WORSE_MAX } from './judge.ts';
import { laneRatios } from './lane-ratios.ts';
import { triedAgain } from './tried-again.ts';

const TRIES_MAX = 2;
/** Nice, as Linux counts it: before whatever runs as usual. */
const PRIORITY = -15;
const RATIOS_FILE = 'bench/guard/ratios.json';

export const guard: Scenario = {
  name: 'guard',
  about: `fails when a ratio of the hot path is ${Math.round((WORSE_MAX - 1) * 100)} % worse than in ${RATIOS_FILE}`,
  runs: 'when named',
  fullSeconds: 50,
  run: runGuard,
};

async function runGuard(bench: Bench): Promise<ScenarioReport> {
  if (process.platform !== 'linux') return notCounted();
  const known = JSON.parse(await readFile(join(packageRoot(), RATIOS_FILE), 'utf8')) as Ratios;
  await installPrograms(['valgrind'], process.env, ({ detail }) => bench.onProgress(detail));
  const tries: Ratios[] = [];
  let unitsAstray = 0;
  let judgements: readonly Judgement[] = [];
  while (tries.length < TRIES_MAX) {
    const { lane, engine } = await countBoth(bench);
    tries.push({ ...lane, ...engine.ratios });
    unitsAstray += engine.unitsAstray;
    judgements = judge(tries, known);
    if (!judgements.some(({ isWorse }) => isWorse)) break;
  }
  return {
    name: guard.name,
    phases: [],
    facts: judgements.map(({ what, measured }) => ({
      what,
      value: measured,
      unit: 'x',
      better: 'lower',
    })),
    series: [],
    budgets: judgements.map((each) =>
      atMost(each.what, each.measured, each.known * WORSE_MAX, 'x'),
    ),
    audit: {
      ok: unitsAstray === 0,
      words: [
        `instructions, counted ${tries.length} of at most ${TRIES_MAX} times`,
        `${unitsAstray} units more or less in Redis than were reserved`,
      ],
    },
  };
}

function notCounted(): ScenarioReport {
  const words = ['nothing was counted: valgrind counts on Linux alone'];
  const nothing = { phases: [], facts: [], series: [], budgets: [] };
  return { name: guard.name, ...nothing, audit: { ok: true, words } };
}

interface Counted {
  readonly lane: Ratios;
  readonly engine: EngineCounts;
}

/** One after the other: one core is left for who drives them. */
async function countBoth(bench: Bench): Promise<Counted> {
  const before = getPriority();
  hurry(PRIORITY);
  try {
    return { lane: await laneRatios(bench), engine: await triedAgain(() => engineRatios(bench)) };
  } finally {
    hurry(before);
  }
}

/**
 * The lane refuses what comes 2 s late, so where others want the cores too, counting goes first. What
 * is started meanwhile has the same priority.
 */
function hurry(priority: number): void {
  try {
    setPriority(priority);
  } catch {
    // Only root may go before others. Then a busy machine may need another try.
  }
}
