/** `npm run simulate -- --search`: all configurations, or those that find a planted bug. */
import type { RuleName } from './rule-names.ts';
import { makeRules } from './rules.ts';
import { type Found, search } from './search.ts';
import type { Configuration } from './search-configuration.ts';
import { CONFIGURATIONS } from './search-configurations.ts';
import { type Limits, MOVERS } from './search-moves.ts';
import { showTrace } from './shrink.ts';

/** Far above what any configuration has: more would not fit in memory. */
const WORLDS_MAX = 500_000;

/** Those that find one of the bugs; all of them, where nothing is planted or none is known to. */
export function configurationsFor(planted: readonly RuleName[]): readonly Configuration[] {
  const finding = CONFIGURATIONS.filter(({ finds }) =>
    finds.some((rule) => planted.includes(rule)),
  );
  return finding.length > 0 ? finding : CONFIGURATIONS;
}

/** Exit code: 0, nothing broke; 1, something did. */
export async function runSearch(
  planted: readonly RuleName[],
  say: (text: string) => void,
  configurations = configurationsFor(planted),
): Promise<number> {
  let broken = 0;
  for (const configuration of configurations) {
    const began = performance.now();
    const found = await search(configuration, makeRules(planted), WORLDS_MAX);
    const seconds = (performance.now() - began) / 1000;
    say(`${configuration.name}: ${showOutcome(found)} (${seconds.toFixed(1)} s)`);
    for (const line of showBounds(configuration)) say(`    ${line}`);
    if (found.wrong === undefined) continue;
    broken++;
    say(showTrace(found.trace));
  }
  return broken === 0 ? 0 : 1;
}

function showOutcome({ wrong, states, depth, complete, afterHealing }: Found): string {
  const seen = `${states.toLocaleString('en')} worlds to depth ${depth}`;
  if (wrong !== undefined) return `after ${seen}${afterHealing ? ', healed' : ''}: ${wrong}`;
  return `${complete ? 'complete' : 'bounded, not complete'}: ${seen}, nothing broke`;
}

function showBounds({ about, config, plans, free, prompt, limits }: Configuration): string[] {
  const moving = new Set<string>([...free, ...prompt]);
  return [
    about,
    `${config.form}, ${count(config.nodes, 'node')}, ${count(config.engines, 'engine')}, ${count(plans.length, 'client')}; every world healed`,
    `at any time or never: ${free.join(', ')}`,
    `not at all: ${Object.keys(MOVERS)
      .filter((mover) => !moving.has(mover))
      .join(', ')}; all else at once`,
    `at most: ${showLimits(limits)}`,
  ];
}

function showLimits({ promotions, recoveries, crashes, mortal, ...rest }: Limits): string {
  const { halves, standbys, pauses } = rest;
  const some = [
    promotions > 0 ? count(promotions, 'promotion') : '',
    recoveries > 0 ? `${count(recoveries, 'new term')}` : '',
    crashes > 0 ? `${count(crashes, 'death')} of a ${mortal.join(' or ')}` : '',
    halves > 0 ? `${count(halves, 'script')} that dies half way` : '',
    standbys > 0 ? `${count(standbys, 'promotion')} of PostgreSQL’s standby` : '',
    pauses > 0 ? `${count(pauses, 'time')} that lane time passes` : '',
  ];
  return some.filter((each) => each !== '').join(', ');
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
