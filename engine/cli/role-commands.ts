/** `holdfast dev|serve|relay|persist|recover|migrate`: the processes. */
import { Command, Option } from 'commander';
import type { LogChoice } from '../../deploy/local/stack.ts';
import { type Config, readConfig } from '../runtime/config.ts';
import { createLogger } from '../runtime/log.ts';
import { requireSettings } from './check-settings.ts';
import {
  type Role,
  runMigrations,
  startAll,
  startPersist,
  startRecover,
  startRelay,
  startServe,
  unparkLane,
} from './roles.ts';
import { startStackWithProgress } from './stack-progress.ts';
import { type TopologyOptions, withTopologyOptions } from './topology-options.ts';

const STORES = `
REDIS_URL and DATABASE_URL name the stores; KAFKA_BROKERS the log (without it the log is embedded in Redis).
A Redis group is named by its Sentinels: redis+sentinel://host:port,host:port/NAME[?password=...].
The settings of all servers are checked first (holdfast check); HOLDFAST_SETTINGS_CHECK=warn starts in spite of them.
Further settings are HOLDFAST_... variables; a wrong one is named with what it may be.`;
const EXIT_CODES = `
Exit codes: 0 ended by a signal; 1 failed, with the reason on stderr; 2 usage or environment`;

export function roleCommands(): Command[] {
  return [
    dev(),
    role('serve', 'the engine: HTTP in, micro-batches to Redis', serve)
      .option('--port <port>', 'overrides HOLDFAST_PORT')
      .option('--host <host>', 'overrides HOLDFAST_HOST'),
    role('relay', 'the log of the lane to Kafka', () => hold('relay', startRelay)),
    role('persist', 'the log to PostgreSQL', () => hold('persister', startPersist)),
    role('recover', 'closes, repairs and opens the lane when it needs it', recover)
      .option('--watch', 'stay, and recover whenever it is needed (the default)')
      .option('--unpark', 'a person has looked: let a parked lane be recovered, and end'),
    role('migrate', 'bring the database to this schema', migrateOnce),
  ];
}

function role(
  name: string,
  description: string,
  action: (options: Record<string, string>) => Promise<void>,
): Command {
  return new Command(name)
    .description(description)
    .addHelpText(
      'after',
      `${STORES}\n${EXIT_CODES}\n\nExample:\n  $ eval "$(holdfast stack env)" && holdfast ${name}`,
    )
    .action(action);
}

function dev(): Command {
  return withTopologyOptions(new Command('dev'))
    .description('everything in one process, on the local stack')
    .option('--port <port>', '0 takes a free one', '7070')
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .option('--dir <directory>', "the stack's data")
    .addOption(
      new Option('--log <log>', 'auto takes Kafka where it can be had')
        .choices(['auto', 'kafka', 'embedded'])
        .default('auto'),
    )
    .addHelpText(
      'after',
      `
Starts what is not running, prints one line with the URL when it is ready, and stops what it started at the end.
${STORES}
${EXIT_CODES}

Examples:
  $ holdfast dev --log embedded --port 0
  $ holdfast dev --sentinel               on a Redis that fails over: kill its primary and see`,
    )
    .action(runDev);
}

interface DevOptions extends TopologyOptions {
  readonly port: string;
  readonly host: string;
  readonly dir?: string;
  readonly log: LogChoice;
}

async function runDev({ port, host, dir, ...wanted }: DevOptions): Promise<void> {
  const stack = await startStackWithProgress({
    ...wanted,
    ...(dir !== undefined && { directory: dir }),
  });
  try {
    const config = configure({ ...process.env, ...stack.env }, { port, host });
    const log = createLogger('dev', config.logLevel);
    await requireSettings(config, log);
    const serving = await startAll({ config, log });
    process.stdout.write(`${readyLine(serving.url, stack.log)}\n`);
    await untilSignal();
    await serving.close();
  } finally {
    await stack.stop();
  }
}

function readyLine(url: string, log: string): string {
  return `holdfast is ready at ${url} (log: ${log})`;
}

/** Ports and hosts of the command line stand above the environment. */
function configure(
  env: NodeJS.ProcessEnv,
  options: { readonly port?: string; readonly host?: string },
): Config {
  return readConfig({
    ...env,
    ...(options.port !== undefined && { HOLDFAST_PORT: options.port }),
    ...(options.host !== undefined && { HOLDFAST_HOST: options.host }),
  });
}

async function serve(options: { port?: string; host?: string }): Promise<void> {
  const config = configure(process.env, options);
  const log = createLogger('engine', config.logLevel);
  await requireSettings(config, log);
  const serving = await startServe({ config, log });
  const kind = config.kafkaBrokers.length > 0 ? 'kafka' : 'embedded';
  process.stdout.write(`${readyLine(serving.url, kind)}\n`);
  await untilSignal();
  await serving.close();
}

async function hold(
  name: string,
  start: (options: { config: Config; log: ReturnType<typeof createLogger> }) => Promise<Role>,
): Promise<void> {
  const config = configure(process.env, {});
  const log = createLogger(name, config.logLevel);
  await requireSettings(config, log);
  const running = await start({ config, log });
  process.stdout.write(`holdfast ${name} runs\n`);
  await untilSignal();
  await running.close();
}

async function recover(options: { unpark?: string | true }): Promise<void> {
  if (options.unpark === undefined) return hold('recovery', startRecover);
  const config = configure(process.env, {});
  const isDone = await unparkLane({ config, log: createLogger('recovery', config.logLevel) });
  process.stdout.write(isDone ? 'unparked: recovery will go on\n' : 'the lane is not parked\n');
}

async function migrateOnce(): Promise<void> {
  const config = configure(process.env, {});
  const ran = await runMigrations({ config, log: createLogger('migrate', config.logLevel) });
  process.stdout.write(ran.length === 0 ? 'nothing to migrate\n' : `${ran.join('\n')}\n`);
}

/** A second signal ends the process at once. */
function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}
