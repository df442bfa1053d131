/** Run before the tests: installs the programs that they start, and fetches Kafka's jars. */
import { installPrograms, MissingProgramsError } from './install.ts';
import { fetchKafkaJars, hasKafkaJars } from './kafka-jars.ts';

const say = (text: string) => process.stderr.write(`holdfast: ${text}\n`);

try {
  const { env } = process;
  const hasJars = hasKafkaJars(env);
  await installPrograms(
    hasJars ? ['redis', 'postgres', 'java'] : ['redis', 'postgres', 'java', 'maven'],
    env,
    say,
  );
  if (!hasJars) {
    say('fetching Kafka with Maven, once for this user (43 MB) ...');
    await fetchKafkaJars(env, (jar) => say(`downloaded ${jar}`));
  }
} catch (error) {
  if (!(error instanceof MissingProgramsError)) throw error;
  say(error.message);
  process.exitCode = 1;
}
