/**
 * What the npm scripts call: `node deploy/local/bootstrap.mjs TASK`, with further arguments.
 * Works in a fresh clone, before `npm ci`.
 */
import { join } from 'node:path';
import {
  ensureBuild,
  ensurePackages,
  Failure,
  main,
  requireNode,
  root,
  runNpm,
  runToTheEnd,
  say,
} from './checkout.mjs';

const compiled = (path) => join(root, 'dist', path);

/** Their missing or old output may be what keeps the code from compiling. */
const GENERATORS = ['lua/generate.js', 'engine/http/generate.js'];

const tasks = {
  build: () => 0,
  demo: (args) => runToTheEnd([compiled('engine/main.js'), 'demo', ...args]),
  bench: (args) => runToTheEnd([compiled('engine/main.js'), 'bench', ...args]),
  test: runTests,
  mutants: async (args) =>
    (await prepareTests()) ||
    (await runToTheEnd([compiled('engine/testing/mutants/run.js'), ...args])),
  faults: async (args) =>
    (await prepareTests()) ||
    (await runToTheEnd([compiled('engine/testing/faults/run.js'), ...args])),
  soak: async (args) =>
    (await prepareTests()) ||
    (await runToTheEnd([compiled('engine/testing/faults/soak.js'), ...args])),
  simulate: (args) => runToTheEnd([compiled('engine/testing/simulation/run.js'), ...args]),
  generate,
};

async function generate(args) {
  for (const generator of GENERATORS) {
    const code = await runToTheEnd([compiled(generator), ...args]);
    if (code !== 0) return code;
  }
  return 0;
}

/** With filters (`npm test -- engine/domain`) only those tests run, without the linters. */
async function runTests(args) {
  const rest = args.filter((argument) => argument !== '--long');
  const isLong = rest.length < args.length;
  const unprepared = await prepareTests(rest.length === 0 ? ['--guard'] : []);
  if (unprepared !== 0) return unprepared;
  if (rest.length === 0) {
    say('checking style, types and dead code ...');
    runNpm(['run', '--silent', 'lint']);
  }
  say('running the tests ...');
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const env = isLong ? { ...process.env, HOLDFAST_TEST_LONG: '1' } : process.env;
  const code = await runToTheEnd([vitest, 'run', '--root', root, ...rest], env);
  if (code !== 0 || rest.length > 0) return code;
  // After them: it measures CPU, which tests at its side would disturb.
  say('guarding the cost of the hot path ...');
  return await runToTheEnd([compiled('engine/main.js'), 'bench', 'guard']);
}

/**
 * Redis, PostgreSQL, Java and Kafka's jars, and valgrind for the guard: installed once, before any
 * test waits for them.
 * @param {readonly string[]} args
 */
function prepareTests(args = []) {
  return runToTheEnd([compiled('deploy/local/prepare.js'), ...args]);
}

await main(async () => {
  const [name = '', ...args] = process.argv.slice(2);
  const task = Object.hasOwn(tasks, name) ? tasks[name] : undefined;
  if (task === undefined) {
    throw new Failure(`there is no task "${name}": say one of ${Object.keys(tasks).join(', ')}`);
  }
  requireNode();
  // `build` is what a running Vitest asks for: its packages must not be exchanged under it.
  if (name !== 'build') ensurePackages();
  ensureBuild({ isErrorFatal: name !== 'generate' });
  return await task(args);
});
