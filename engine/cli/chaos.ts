/** `holdfast chaos`: breaks the primary of your own local stack in the middle of a sale, and judges. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { defaultStackDirectory } from '../../deploy/local/paths.ts';
import { withoutServers } from '../../deploy/local/stack-servers.ts';
import { stackAddresses, stackStatus } from '../../deploy/local/stack-status.ts';
import { CHAOS, type ChaosFault, type ChaosReport, runChaos } from '../testing/faults/chaos.ts';
import { CommandError, DEFAULT_URL, EXIT } from './api.ts';
import { auditTargets } from './audit.ts';
import { startStackWithProgress } from './stack-progress.ts';

const HELP = `
Sells through the engine at --url, does one thing to the Redis primary of the local stack, lets it recover, and compares
what clients were told with what Redis and PostgreSQL then say; the audit follows. It needs a stack with a Redis group
and an engine with its workers: \`holdfast dev --sentinel\` in another terminal.

Faults:
${Object.entries(CHAOS)
  .map(([name, { what, survives }]) => `  ${name.padEnd(6)} ${what}; ${survives} and above survive`)
  .join('\n')}

Only processes of the stack's own directory are touched, and an engine on another machine is refused.

Exit codes:
  0  every promise was kept
  1  one was broken: each is printed
  2  the command line is wrong, or the target is not on this machine
  3  the stack or the engine does not run, a Redis of the group is missing, or nobody took over

Examples:
  $ holdfast dev --sentinel &
  $ holdfast chaos
  $ holdfast chaos --fault hang --json | jq .verdict.violations`;

const SHOPPERS_DEFAULT = 8;
const WARM_S_DEFAULT = 3;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\]|::1)$/;

interface ChaosCommandOptions {
  readonly fault: ChaosFault;
  readonly url: string;
  readonly dir: string;
  readonly shoppers: number;
  readonly warm: number;
  readonly json?: boolean;
}

export function chaosCommand(): Command {
  return new Command('chaos')
    .description('break the Redis primary of the local stack in a sale, and judge what follows')
    .addOption(
      new Option('--fault <fault>', 'what is done').choices(Object.keys(CHAOS)).default('kill'),
    )
    .option('--url <url>', 'the engine, on this machine', DEFAULT_URL)
    .option('--dir <directory>', 'the stack', defaultStackDirectory())
    .option('--shoppers <number>', 'who buy at once', whole(1, 256), SHOPPERS_DEFAULT)
    .option('--warm <seconds>', 'of sale before the fault', whole(1, 600), WARM_S_DEFAULT)
    .option('--json', 'print the report as one JSON object')
    .addHelpText('after', HELP)
    .action(chaos);
}

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

async function chaos(options: ChaosCommandOptions): Promise<void> {
  const engine = engineOf(options.url);
  const targets = requireGroup(options.dir);
  await requireEngine(options.url);
  const say = (text: string): void => void process.stderr.write(`chaos: ${text}\n`);
  const report = await runChaos({
    fault: options.fault,
    directory: options.dir,
    engine,
    redisUrl: targets.redisUrl,
    databaseUrl: targets.databaseUrl,
    shoppers: options.shoppers,
    warmMs: options.warm * 1_000,
    restart: async () => {
      const log = targets.kafkaBrokers.length > 0 ? 'kafka' : 'embedded';
      await startStackWithProgress({
        directory: options.dir,
        sentinel: true,
        log,
        keepRunning: true,
        env: withoutServers(process.env),
      });
    },
    say,
  }).catch((error: unknown) => {
    throw new CommandError(
      `It could not be carried through: ${error instanceof Error ? error.message : String(error)}`,
      EXIT.unavailable,
    );
  });
  const audit = await auditTargets(targets);
  const whole = { ...report, audit_differences: audit.differences };
  process.stdout.write(
    options.json === true ? `${JSON.stringify(whole, null, 2)}\n` : tell(report),
  );
  for (const { invariant, where, explanation } of audit.differences) {
    say(`the audit finds ${invariant}, ${where}: ${explanation}`);
  }
  const isBroken = report.verdict.violations.length > 0 || audit.differences.length > 0;
  if (isBroken) process.exitCode = EXIT.refused;
}

/** A load that ends in a kill is for nobody else's machine. */
function engineOf(url: string): { host: string; port: number } {
  const { hostname, port } = parseUrl(url);
  if (!LOOPBACK.test(hostname)) {
    throw new CommandError(
      `${url} is not on this machine: chaos breaks only your own local stack`,
      EXIT.usage,
    );
  }
  return { host: hostname.replace(/[[\]]/g, ''), port: Number(port) || 80 };
}

function parseUrl(url: string): URL {
  try {
    return new URL(url);
  } catch {
    throw new CommandError(`--url ${url} is no URL: say for example ${DEFAULT_URL}`, EXIT.usage);
  }
}

/** The stack's own servers, whatever REDIS_URL and its sisters name. */
function requireGroup(directory: string) {
  const servers = stackStatus(directory, {});
  const nodes = servers.filter(({ name }) => name.startsWith('redis-'));
  const missing = nodes.filter(({ state }) => state !== 'running').map(({ name }) => name);
  const { REDIS_URL, DATABASE_URL, KAFKA_BROKERS } = stackAddresses(directory, {});
  if (nodes.length === 0 || REDIS_URL === undefined || DATABASE_URL === undefined) {
    throw new CommandError(
      `No stack with a Redis group runs in ${directory}: start one with holdfast dev --sentinel`,
      EXIT.unavailable,
    );
  }
  if (missing.length > 0) {
    const where = directory === defaultStackDirectory() ? '' : ` --dir ${directory}`;
    throw new CommandError(
      `The Redis group is not whole, ${missing.join(' and ')} is missing: bring it back with holdfast stack up --sentinel${where}`,
      EXIT.unavailable,
    );
  }
  const kafkaBrokers = KAFKA_BROKERS === undefined ? [] : KAFKA_BROKERS.split(',').filter(Boolean);
  return { redisUrl: REDIS_URL, databaseUrl: DATABASE_URL, kafkaBrokers };
}

async function requireEngine(url: string): Promise<void> {
  const response = await fetch(new URL('/readyz', url)).catch(() => undefined);
  const said: unknown = await response?.json().catch(() => undefined);
  if ((said as { status?: unknown } | undefined)?.status === 'ready') return;
  throw new CommandError(
    `No engine is ready at ${url} (/readyz): start one with holdfast dev --sentinel`,
    EXIT.unavailable,
  );
}

function tell({ primary, promoted, stopped_ms, verdict }: ChaosReport): string {
  const { violations, levels, attempts, oversold } = verdict;
  const lines = [
    `${primary} was hit${promoted === null ? '' : `, ${promoted} took over`}; clients could not buy for ${stopped_ms ?? '?'} ms`,
    `${attempts} attempts, oversold ${oversold}`,
    ...levels.map(
      ({ verb, level, acknowledged, lost, promised }) =>
        `  ${verb} at ${level}: ${acknowledged} acknowledged, ${lost} lost${promised ? '' : ' (this level does not promise to survive it)'}`,
    ),
    ...violations.map(({ invariant, where, what }) => `  BROKEN ${invariant}, ${where}: ${what}`),
    violations.length === 0 ? 'Every promise was kept.' : `${violations.length} promises broken.`,
  ];
  return `${lines.join('\n')}\n`;
}
