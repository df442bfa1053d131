/**
 * Run before the tests: installs the programs that they start, and fetches Kafka's jars. With
 * `--guard`, what the guard behind them counts with: who cannot have it hears so now, not in an hour.
 */
import { installPrograms, MissingProgramsError } from './install.ts';
import { fetchKafkaJars, hasKafkaJars } from './kafka-jars.ts';
import type { OnProgress } from './progress.ts';
import { neededPrograms } from './stack.ts';

const onProgress: OnProgress = ({ step, state, detail }) => {
  if (state !== 'detail') process.stderr.write(`holdfast: ${step}: ${detail}\n`);
};

try {
  // The tests start their own servers, whatever REDIS_URL and its sisters name.
  const servers = neededPrograms({}, 'kafka', hasKafkaJars(process.env));
  // It counts on Linux alone.
  const isGuarded = process.argv.includes('--guard') && process.platform === 'linux';
  const needed = isGuarded ? [...servers, 'valgrind' as const] : servers;
  await installPrograms(needed, process.env, onProgress);
  await fetchKafkaJars(process.env, onProgress);
} catch (error) {
  if (!(error instanceof MissingProgramsError)) throw error;
  process.stderr.write(`holdfast: ${error.message}\n`);
  process.exitCode = 1;
}
