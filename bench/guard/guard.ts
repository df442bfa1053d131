/**
 * Fails when the hot path has got dearer: ratios of CPU times within one run, against those in
 * `ratios.json`, which are of a run of the commit that changed them last. What is worse is measured
 * again before it counts.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../deploy/local/paths.ts';
import { atMost } from '../budgets.ts';
import type { Bench, Scenario, ScenarioReport } from '../scenario.ts';
import { type Judgement, judge, type Ratios, WORSE_MAX } from './judge.ts';
import { httpRatios, laneRatios } from './measure.ts';

const TRIES_MAX = 3;
const RATIOS_FILE = 'bench/guard/ratios.json';

export const guard: Scenario = {
  name: 'guard',
  about: `fails when a ratio of the hot path is ${Math.round((WORSE_MAX - 1) * 100)} % worse than in ${RATIOS_FILE}`,
  runs: 'when named',
  run: runGuard,
};

async function runGuard(bench: Bench): Promise<ScenarioReport> {
  const known = JSON.parse(await readFile(join(packageRoot(), RATIOS_FILE), 'utf8')) as Ratios;
  const tries: Ratios[] = [];
  const differences: unknown[] = [];
  let judgements: readonly Judgement[] = [];
  while (tries.length < TRIES_MAX) {
    const http = await httpRatios(bench);
    tries.push({ ...(await laneRatios(bench)), ...http.ratios });
    differences.push(...http.differences);
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
      ok: differences.length === 0,
      words: [
        `measured ${tries.length} of at most ${TRIES_MAX} times`,
        `${differences.length} differences between Redis, log and PostgreSQL`,
      ],
    },
  };
}
