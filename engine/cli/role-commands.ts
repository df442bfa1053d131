/** `holdfast dev|serve|relay|persist|recover|migrate`: the processes. */
import { Command, Option } from 'commander';
import type { DevOptions } from './dev.ts';
import { withTopologyOptions } from './topology-options.ts';

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

/** Loaded by who acts: `--help` needs none of it. */
const actions = () => import('./role-actions.ts');

export function roleCommands(): Command[] {
  return [
    dev(),
    role(
      'serve',
      'the engine: HTTP in, micro-batches to Redis',
      [WAITS, WORKERS],
      async (options) => (await import('./serve.ts')).serve(options),
    )
      .option('--port <port>', 'overrides HOLDFAST_PORT')
      .option('--host <host>', 'overrides HOLDFAST_HOST')
      .option('--workers <number>', 'engines on the port, or auto; overrides HOLDFAST_WORKERS'),
    role('relay', 'the log of the lane to Kafka', [WAITS], async () => (await actions()).relay()),
    role('persist', 'the log to PostgreSQL', [WAITS], async () => (await actions()).persist()),
    role(
      'recover',
      'closes, repairs and opens the lane when it needs it',
      [WAITS],
      async (options) => (await actions()).recover(options),
    )
      .option('--watch', 'stay, and recover whenever it is needed (the default)')
      .option('--unpark', 'a person has looked: let a parked lane be recovered, and end')
      .option(
        '--above <term>',
        'with --unpark: this PostgreSQL is the right one; go on above the term that Redis carries',
      ),
    role('migrate', 'bring the database to this schema', [], async () =>
      (await actions()).migrateOnce(),
    ),
  ];
}

function role(
  name: string,
  description: string,
  more: readonly string[],
  action: (options: Record<string, string>) => Promise<void>,
): Command {
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
    .action(async (options: DevOptions) => (await import('./dev.ts')).runDev(options));
}
