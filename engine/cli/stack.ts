/** `holdfast stack`: starts, stops and describes the local Redis, PostgreSQL and Kafka. */
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { defaultStackDirectory } from '../../deploy/local/paths.ts';
import { logPath } from '../../deploy/local/server-process.ts';
import type { LogChoice, Stack } from '../../deploy/local/stack.ts';
import {
  type ServerRole,
  type ServerStatus,
  serverRole,
  stackAddresses,
  stackStatus,
  stopStack,
} from '../../deploy/local/stack-status.ts';
import { startStackWithProgress } from './stack-progress.ts';
import { type TopologyOptions, withTopologyOptions } from './topology-options.ts';

/** As init scripts have it: the program is not running. */
const EXIT_NOT_RUNNING = 3;
const EXIT_IN_USE = 4;

/** Of the longest name: sentinel-4, postgres-2. */
const NAME_WIDTH = 10;

const HELP = `
Exit codes:
  0  done; status and env: Redis and PostgreSQL are there (of a group or a pair: at least half)
  1  failed, with the reason on stderr
  ${EXIT_NOT_RUNNING}  status and env: the stack is not up
  ${EXIT_IN_USE}  down: some servers belong to a live process (holdfast dev), and were left to it

Servers that REDIS_URL, DATABASE_URL and KAFKA_BROKERS name are used, never started or stopped, unless
they are this stack's own, as stack env names them.
HOLDFAST_REDIS_SERVER names another Redis binary, such as valkey-server.

With --sentinel a Redis of the group never starts straight as primary: it asks the Sentinels first
(deploy/redis/README.md). A server that you killed comes back with another holdfast stack up.

Examples:
  $ holdfast stack up                     start what is not running, leave it running
  $ holdfast stack up --log embedded      without Kafka
  $ holdfast stack up --sentinel          Redis and PostgreSQL that fail over
  $ eval "$(holdfast stack env)"          name the servers to this shell
  $ holdfast stack status --json | jq '.servers[].address'
  $ holdfast stack down                   stop; the data stays`;

interface CommonOptions {
  readonly dir: string;
  readonly json?: boolean;
}

export function stackCommand(): Command {
  const stack = new Command('stack')
    .description('the local Redis, PostgreSQL and Kafka, without Docker')
    .addHelpText('after', HELP);
  withTopologyOptions(withCommonOptions(stack.command('up')))
    .description('start what is not running, and leave it running')
    .addOption(
      new Option('--log <log>', 'where the log lives: auto takes Kafka where it can be had')
        .choices(['auto', 'kafka', 'embedded'])
        .default('auto'),
    )
    .action(up);
  withCommonOptions(stack.command('down'))
    .description('stop what was left running; the data stays')
    .action(down);
  withCommonOptions(stack.command('status'))
    .description('say what runs, where, whose it is, and which role it has')
    .action(status);
  withCommonOptions(stack.command('env'))
    .description('print REDIS_URL, DATABASE_URL and KAFKA_BROKERS for a shell')
    .action(env);
  return stack;
}

function withCommonOptions(command: Command): Command {
  return command
    .option('--dir <directory>', 'data, logs and pid files', defaultStackDirectory())
    .option('--json', 'print JSON');
}

interface UpOptions extends CommonOptions, TopologyOptions {
  readonly log: LogChoice;
}

async function up(options: UpOptions): Promise<void> {
  const { dir, json, ...wanted } = options;
  const stack = await startStackWithProgress({ ...wanted, directory: dir, keepRunning: true });
  print(json ? stackJson(stack) : environmentLines(stack.env));
}

async function down(options: CommonOptions): Promise<void> {
  const { stopped, inUse } = await stopStack(options.dir);
  if (options.json) {
    print(toJson({ stopped, in_use: inUse.map((server) => serverJson(server)) }));
  } else {
    print(stopped.length === 0 ? 'nothing to stop' : `stopped ${stopped.join(', ')}`);
  }
  for (const { name, ownerPid } of inUse) {
    process.stderr.write(`${name} belongs to process ${ownerPid}, which stops it when it ends\n`);
  }
  if (inUse.length > 0) process.exitCode = EXIT_IN_USE;
}

async function status(options: CommonOptions): Promise<void> {
  const servers = stackStatus(options.dir, process.env);
  const roles = await Promise.all(servers.map(serverRole));
  if (options.json) {
    const described = servers.map((server, index) => serverJson(server, roles[index]));
    print(toJson({ directory: resolve(options.dir), servers: described }));
  } else {
    print(servers.map((server, index) => statusLine(server, roles[index])).join('\n'));
  }
  if (!isUp(servers)) process.exitCode = EXIT_NOT_RUNNING;
}

function env(options: CommonOptions): void {
  const addresses = Object.entries(stackAddresses(options.dir, process.env));
  const variables = Object.fromEntries(addresses.map(([name, value]) => [name, value ?? '']));
  if (isUp(stackStatus(options.dir, process.env))) {
    print(options.json ? toJson(variables) : environmentLines(variables));
    return;
  }
  process.stderr.write(`the stack in ${options.dir} is not up: start it with holdfast stack up\n`);
  process.exitCode = EXIT_NOT_RUNNING;
}

/**
 * Without Kafka the log is embedded, so a stack is up without it; leftovers will be cleared. Of a
 * group some may be down, as it is there to survive that.
 */
export function isUp(servers: readonly ServerStatus[]): boolean {
  const isThere = ({ state }: ServerStatus) => state === 'running' || state === 'environment';
  return (['redis', 'postgres'] as const).every((store) => {
    const ofStore = servers.filter((server) => server.store === store);
    return ofStore.filter(isThere).length >= Math.max(1, ofStore.length / 2);
  });
}

/** Lines for a POSIX shell; an empty KAFKA_BROKERS stands for the embedded log. */
export function environmentLines(variables: Readonly<Record<string, string>>): string {
  const names = ['REDIS_URL', 'DATABASE_URL', 'KAFKA_BROKERS'];
  return names.map((name) => `export ${name}=${shellQuote(variables[name] ?? '')}`).join('\n');
}

function shellQuote(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`;
}

export function statusLine(server: ServerStatus, role?: ServerRole): string {
  const { name, variable, state, address, pid, ownerPid } = server;
  const what = `${name.padEnd(NAME_WIDTH)} ${state.padEnd(12)}`;
  if (state === 'environment') return `${what} ${address} (from ${variable})`;
  if (state === 'stopped') return what.trimEnd();
  const whose = ownerPid === undefined ? '' : `, stopped by process ${ownerPid} when it ends`;
  const as = role === undefined ? '' : `${role}, `;
  return `${what} ${address} (${as}pid ${pid}${state === 'leftover' ? ', its starter is gone' : whose})`;
}

function stackJson(stack: Stack): string {
  return toJson({
    directory: stack.directory,
    log: stack.log,
    log_reason: stack.logReason ?? null,
    servers: stack.servers.map(({ name, address, source }) => ({ name, address, source })),
  });
}

function serverJson(server: ServerStatus, role?: ServerRole): object {
  return {
    name: server.name,
    role: role ?? null,
    state: server.state,
    address: server.address ?? null,
    pid: server.pid ?? null,
    owner_pid: server.ownerPid ?? null,
    log_file: logPath(server.directory),
  };
}

function toJson(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
