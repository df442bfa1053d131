/**
 * A process of one side of a fault run, by its argument: `engine` serves, `workers` holds persister,
 * relay and recovery together, as a small deployment does, so that they are killed, stopped and cut
 * off together. Prints a line when it runs; ends by a signal.
 */
import { type Role, startPersist, startRecover, startRelay, startServe } from '../../cli/roles.ts';
import { readConfig } from '../../runtime/config.ts';
import { createLogger } from '../../runtime/log.ts';

const kind = process.argv[2] ?? '';
const config = readConfig(process.env);
const options = { config, log: createLogger(kind, config.logLevel) };

async function start(): Promise<{ readonly roles: Role[]; readonly line: string }> {
  if (kind === 'engine') {
    const serving = await startServe(options);
    return { roles: [serving], line: serving.url };
  }
  if (kind !== 'workers') throw new Error(`there is no process "${kind}": say engine or workers`);
  const persist = await startPersist(options);
  const relay = await startRelay(options);
  return { roles: [persist, relay, await startRecover(options)], line: 'the workers run' };
}

const { roles, line } = await start();
process.stdout.write(`${line}\n`);
await new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
});
for (const role of roles.reverse()) await role.close();
