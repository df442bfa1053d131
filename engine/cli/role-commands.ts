/** `holdfast dev|serve|relay|persist|recover|migrate`: the processes. */
import { Command, Option } from 'commander';
import type { LogChoice } from '../../deploy/local/stack.ts';
import { parseTerm, showTerm } from '../../reconciler/term.ts';
import { requireFree } from '../runtime/listen-error.ts';
import { createLogger } from '../runtime/log.ts';
import { untilThere } from '../runtime/unreachable.ts';
import { CommandError, EXIT } from './api.ts';
import { requireSettings } from './check-settings.ts';
import {
  type Role,
  type RoleOptions,
  runMigrations,
  startAll,
  startPersist,
  startRecover,
  startRelay,
  unparkLane,
} from './roles.ts';
import { readyLine, serve } from './serve.ts';
import { startStackWithProgress } from './stack-progress.ts';
import { type TopologyOptions, withTopologyOptions } from './topology-options.ts';
import { configure, untilEnded, untilSignal } from './until-ended.ts';

const STORES = `
REDIS_URL and DATABASE_URL name the stores; KAFKA_BROKERS the log (without it the log is embedded in Redis).
A Redis group is named by its Sentinels: redis+sentinel://host:port,host:port/NAME[?password=...].
The settings of all servers are checked first (holdfast check); HOLDFAST_SETTINGS_CHECK=warn starts in spite of them.
Further settings are HOLDFAST_... variables; a wrong one is named with what it may be.`;
const WAITS = `
A store that is away is waited for, and said: the engine answers meanwhile with what PostgreSQL knows, once that is
there. A wrong password, database or schema ends it at once.`;
const WORKERS = `
With --workers a supervisor keeps that many engines on the port (auto: one for each core) and replaces one that died.
A signal to it lets all of them drain. /metrics answers for all of them, /readyz for the one that was reached.`;
const EXIT_CODES = `
Exit codes: 0 ended by a signal; 1 failed, with the reason on stderr; 2 usage or environment`;

export function roleCommands(): Command[] {
  return [
    dev(),
    role('serve', 'the engine: HTTP in, micro-batches to Redis', serve)
      .option('--port <port>', 'overrides HOLDFAST_PORT')
      .option('--host <host>', 'overrides HOLDFAST_HOST')
      .option('--workers <number>', 'engines on the port, or auto; overrides HOLDFAST_WORKERS'),
    role('relay', 'the log of the lane to Kafka', () => hold('relay', startRelay)),
    role('persist', 'the log to PostgreSQL', () => hold('persister', startPersist)),
    role('recover', 'closes, repairs and opens the lane when it needs it', recover)
      .option('--watch', 'stay, and recover whenever it is needed (the default)')
      .option('--unpark', 'a person has looked: let a parked lane be recovered, and end')
      .option(
        '--above <term>',
        'with --unpark: this PostgreSQL is the right one; go on above the term that Redis carries',
      ),
    role('migrate', 'bring the database to this schema', migrateOnce),
  ];
}

function role(
  name: string,
  description: string,
  action: (options: Record<string, string>) => Promise<void>,
): Command {
  const more = { migrate: [], serve: [WAITS, WORKERS] }[name] ?? [WAITS];
  const example = `\nExample:\n  $ eval "$(holdfast stack env)" && holdfast ${name}`;
  const examples = name === 'serve' ? `${example}\n  $ holdfast serve --workers auto` : example;
  return new Command(name)
    .description(description)
    .addHelpText('after', [STORES, ...more, EXIT_CODES, examples].join('\n'))
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
  // A port that is wrong altogether is told with the rest of the configuration.
  if (/^\d{1,5}$/.test(port) && Number(port) < 65_536) await requireFree(host, Number(port));
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

async function hold(name: string, start: (options: RoleOptions) => Promise<Role>): Promise<void> {
  const config = configure(process.env, {});
  const log = createLogger(name, config.logLevel);
  await untilEnded(async (signal) => {
    await untilThere({ what: 'the stores', log, signal }, () => requireSettings(config, log));
    const running = await start({ config, log, signal });
    process.stdout.write(`holdfast ${name} runs\n`);
    return { close: () => running.close(), failed: Promise.resolve() };
  });
}

async function recover(options: { unpark?: string | true; above?: string }): Promise<void> {
  const { unpark, above } = options;
  if (unpark === undefined && above === undefined) return hold('recovery', startRecover);
  const term = above === undefined ? undefined : parseTerm(above);
  if (unpark === undefined || (above !== undefined && term === undefined)) {
    throw new CommandError('--above <term> goes with --unpark; a term is like 1.6', EXIT.usage);
  }
  const config = configure(process.env, {});
  const log = createLogger('recovery', config.logLevel);
  const plan = await unparkLane({ config, log, above: term });
  if (plan.kind === 'refuse') throw new CommandError(plan.reason, EXIT.refused);
  if (plan.kind === 'not_parked') process.stdout.write('the lane is not parked\n');
  else {
    const number = plan.above === undefined ? '' : `, numbered above ${showTerm(plan.above)}`;
    process.stdout.write(`unparked: recovery will go on${number}\n`);
  }
}

async function migrateOnce(): Promise<void> {
  const config = configure(process.env, {});
  const ran = await runMigrations({ config, log: createLogger('migrate', config.logLevel) });
  process.stdout.write(ran.length === 0 ? 'nothing to migrate\n' : `${ran.join('\n')}\n`);
}
