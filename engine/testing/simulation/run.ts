/**
 * `npm run simulate`: seeds for so many minutes, or one seed again, or a planted bug. Exit code 0:
 * nothing broke; 1: something did, with its seed, its shrunk trace and the command that repeats it;
 * 2: wrong arguments.
 */
import { parseArgs } from 'node:util';
import { type Campaign, campaign, explain, firstOfEachKind } from './campaign.ts';
import { KINDS } from './fault-plans.ts';
import { RULE_NAMES, RULES, type RuleName } from './rule-names.ts';
import { makeRules, type Rules } from './rules.ts';
import type { ScenarioOptions } from './scenario.ts';
import { runSearch } from './search-run.ts';
import { showTrace } from './shrink.ts';

const HELP = `Usage: npm run simulate -- [--seed n] [--seeds n | --minutes n] [options]

Simulates the failover protocol, a world for each seed, and checks what must be true.

  --seed n        the first seed (default: 1); alone: only this one
  --seeds n       so many seeds
  --minutes n     as many seeds as there is time for (default: 1)
  --form f        kafka or embedded (default: as the seed draws)
  --kind k        ${KINDS.join(', ')}
  --planted rule  without this rule; may be repeated
  --search        instead: every order of steps, in configurations that come to an end;
                  with --planted, in those that find the rule
  --rules         list the rules

Exit codes: 0 nothing broke; 1 an invariant broke; 2 wrong arguments.
`;

const say = (text: string): void => void process.stdout.write(`${text}\n`);

class Usage extends Error {}

function readArguments() {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      minutes: { type: 'string' },
      form: { type: 'string' },
      kind: { type: 'string' },
      planted: { type: 'string', multiple: true, default: [] },
      search: { type: 'boolean', default: false },
      rules: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const form = oneOf('form', values.form, ['kafka', 'embedded'] as const);
  const kind = oneOf('kind', values.kind, KINDS);
  const planted = values.planted.map((name) => {
    const rule = oneOf('planted', name, RULE_NAMES);
    if (rule === undefined) throw new Usage('--planted needs a rule');
    return rule;
  });
  const numbers = {
    seed: wholeNumber('seed', values.seed),
    seeds: wholeNumber('seeds', values.seeds),
    minutes: values.minutes === undefined ? undefined : Number(values.minutes),
  };
  const { search, rules, help } = values;
  return { form, kind, planted, ...numbers, search, rules, help };
}

function oneOf<T extends string>(name: string, text: string | undefined, all: readonly T[]) {
  if (text === undefined) return undefined;
  const found = all.find((each) => each === text);
  if (found === undefined) throw new Usage(`--${name} is ${text}: say one of ${all.join(', ')}`);
  return found;
}

function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0)
    throw new Usage(`--${name} is ${text}: say a whole number`);
  return number;
}

async function main(): Promise<number> {
  const asked = readArguments();
  if (asked.help) {
    say(HELP);
    return 0;
  }
  if (asked.rules) {
    for (const rule of RULE_NAMES) say(`${rule.padEnd(18)} ${RULES[rule]}`);
    return 0;
  }
  const rules = makeRules(asked.planted);
  if (asked.search) return runSearch(asked.planted, say);
  return runSeeds(asked, rules);
}

interface Asked extends ScenarioOptions {
  readonly seed: number | undefined;
  readonly seeds: number | undefined;
  readonly minutes: number | undefined;
  readonly planted: readonly RuleName[];
}

async function runSeeds(asked: Asked, rules: Rules): Promise<number> {
  const { seed, minutes, form, kind } = asked;
  const isOne = seed !== undefined && asked.seeds === undefined && minutes === undefined;
  const seeds = isOne ? 1 : (asked.seeds ?? Number.MAX_SAFE_INTEGER);
  const until = performance.now() + (minutes ?? 1) * 60_000;
  const isTimed = asked.seeds === undefined && !isOne;
  const began = { ms: performance.now(), cpu: process.cpuUsage() };
  const goesOn = () => !isTimed || performance.now() < until;
  const seen = await campaign({ from: seed ?? 1, seeds, brokenMax: 20, form, kind, goesOn }, rules);
  const cpu = process.cpuUsage(began.cpu);
  report(seen, (performance.now() - began.ms) / 1000, (cpu.user + cpu.system) / 1e6);
  for (const broken of firstOfEachKind(seen.broken)) {
    const short = await explain(broken, rules);
    say(
      `\nseed ${broken.seed} (${broken.scenario.kind}, ${broken.scenario.config.form}): ${broken.wrong}`,
    );
    say(
      `  shrunk to ${short.trace.length} steps${short.afterHealing ? ', breaks after healing' : ''}: ${short.wrong}`,
    );
    say(showTrace(short.trace));
    const options = [
      ...(form === undefined ? [] : [`--form ${form}`]),
      ...(kind === undefined ? [] : [`--kind ${kind}`]),
      ...asked.planted.map((rule) => `--planted ${rule}`),
    ];
    say(`  again: npm run simulate -- ${[`--seed ${broken.seed}`, ...options].join(' ')}`);
  }
  return seen.broken.length === 0 ? 0 : 1;
}

function report(seen: Campaign, seconds: number, cpuSeconds: number): void {
  const { seeds, steps, acknowledged, recovered, broken, losses } = seen;
  const rate = Math.round((seeds / cpuSeconds) * 60);
  say(
    `${seeds} seeds (${recovered} with a recovery), ${steps} steps, ${acknowledged} acknowledged operations, ` +
      `${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of CPU: ${rate} seeds a minute of one core; ${broken.length} broken`,
  );
  say('acknowledged / lost   memory        replicated    logged        persisted');
  for (const [kind, each] of losses) {
    const columns = (['memory', 'replicated', 'logged', 'persisted'] as const).map((level) =>
      `${each[level].acked}/${each[level].lost}`.padEnd(14),
    );
    say(`  ${kind.padEnd(20)}${columns.join('')}`);
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const isUsage = error instanceof Usage || (error instanceof Error && 'code' in error);
    process.stderr.write(`simulate: ${isUsage ? (error as Error).message : String(error)}\n`);
    process.exitCode = 2;
  },
);
