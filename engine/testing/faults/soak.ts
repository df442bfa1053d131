/**
 * `npm run soak`: one stack, and one fault after another, drawn by chance, for half an hour or as long
 * as told; each with a sale around it and the whole check behind it. HELP is the rest.
 */
import { parseArgs } from 'node:util';
import { randomFrom } from '../../../bench/load/random.ts';
import { openTestRun, Results, reasonOf, say } from './results.ts';
import { type SoakOptions, soak } from './soak-loop.ts';

const HELP = `Usage: npm run soak -- [options]

  --minutes <n>      how long (default 30)
  --seed <text>      makes the choice of faults repeat (default: a fresh one, printed)
  --log <log>        embedded or kafka (default kafka)
  --hold-ms <ms>     how long cuts, pauses and outages last (default 5000)
  --out <file>       results, one JSON object a line, appended (default .faults/soak.jsonl)

Exit codes: 0 every promise held; 1 one was broken; 2 it could not be run.
`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string' },
    log: { type: 'string', default: 'kafka' },
    'hold-ms': { type: 'string', default: '5000' },
    out: { type: 'string', default: '.faults/soak.jsonl' },
    help: { type: 'boolean', default: false },
  },
});

async function main(): Promise<void> {
  if (values.help) return void process.stdout.write(HELP);
  const seed = values.seed ?? String(Date.now() % 1_000_000);
  say(`soak for ${values.minutes} minutes, seed ${seed}`);
  openTestRun();
  const options: SoakOptions = {
    untilMs: performance.now() + Number(values.minutes) * 60_000,
    seed,
    random: randomFrom(`${seed}/soak`),
    log: values.log === 'embedded' ? 'embedded' : 'kafka',
    holdMs: Number(values['hold-ms']),
    results: new Results(values.out),
  };
  const at = new Date().toISOString();
  const sum = await soak(options);
  const { runs, broken, attempts } = sum;
  const { log } = options;
  options.results.write({ kind: 'soak', at, minutes: Number(values.minutes), log, seed, ...sum });
  say(`${runs} faults, ${attempts} attempts, ${broken} runs broke a promise`);
  process.exitCode = broken === 0 ? 0 : 1;
}

try {
  await main();
} catch (error) {
  say(`it could not be run: ${reasonOf(error)}`);
  process.exitCode = 2;
}
