/**
 * Finds out which programs the stack lacks and installs them where that can be done without
 * asking: with apt-get, as root or with sudo that wants no password. Elsewhere the person is told
 * what to install and how. The services that the packages start on their own default ports are
 * left alone: the stack's servers take other ports and other data.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  findJava,
  findMaven,
  findPostgres,
  findRedisServer,
  JAVA_VERSION_MIN,
  onPath,
  POSTGRES_VERSION_MIN,
  REDIS_VERSION_MIN,
} from './find-programs.ts';
import type { OnProgress } from './progress.ts';

export type Program = 'redis' | 'postgres' | 'java' | 'maven' | 'valgrind' | 'wrk';

export interface Machine {
  readonly hasApt: boolean;
  readonly isRoot: boolean;
  /** sudo is there and asks for no password. */
  readonly hasSudo: boolean;
}

export type InstallPlan =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'apt'; readonly prefix: readonly string[] }
  | { readonly kind: 'ask'; readonly message: string };

/** The packages of a program; where several are named, the first that the distribution has. */
const DEBIAN_PACKAGES: Readonly<Record<Program, readonly string[]>> = {
  redis: ['redis-server', 'valkey-server'],
  postgres: ['postgresql'],
  // default-jre-headless is Java 11 on older releases, so the version comes first.
  java: ['openjdk-17-jre-headless', 'openjdk-21-jre-headless', 'default-jre-headless'],
  maven: ['maven'],
  valgrind: ['valgrind'],
  wrk: ['wrk'],
};
const FEDORA_PACKAGES: Readonly<Record<Program, string>> = {
  redis: 'valkey',
  postgres: 'postgresql-server',
  java: 'java-21-openjdk-headless',
  maven: 'maven',
  valgrind: 'valgrind',
  wrk: 'wrk',
};
const MACOS_PACKAGES: Readonly<Record<Program, string>> = {
  redis: 'redis',
  postgres: 'postgresql@17',
  java: 'openjdk@21',
  maven: 'maven',
  valgrind: 'valgrind',
  wrk: 'wrk',
};
const TITLES: Readonly<Record<Program, string>> = {
  redis: `Redis ${REDIS_VERSION_MIN} or newer`,
  postgres: `PostgreSQL ${POSTGRES_VERSION_MIN} or newer`,
  java: `Java ${JAVA_VERSION_MIN} or newer`,
  maven: 'Maven',
  valgrind: 'valgrind',
  wrk: 'wrk',
};
/** The bench's: no server stands in for them. */
const TOOLS: ReadonlySet<Program> = new Set(['valgrind', 'wrk']);
/** Another apt-get may be at work, as it is after boot on many machines. */
const APT_OPTIONS = ['-o', 'DPkg::Lock::Timeout=120', '-q', '-y'];
const REASON_CHARACTERS_MAX = 1_500;

/** Programs that could not be had, with what the person can do about it. */
export class MissingProgramsError extends Error {
  readonly programs: readonly Program[];
  /** One line: `no Java 17 or newer, no Maven`. */
  readonly summary: string;

  constructor(programs: readonly Program[], message: string) {
    super(message);
    this.name = 'MissingProgramsError';
    this.programs = programs;
    this.summary = programs.map((program) => `no ${TITLES[program]}`).join(', ');
  }
}

export function missingPrograms(needed: readonly Program[], env: NodeJS.ProcessEnv): Program[] {
  const find: Readonly<Record<Program, () => unknown>> = {
    redis: () => findRedisServer(env),
    postgres: () => findPostgres(env),
    java: () => findJava(env),
    maven: () => findMaven(env),
    // vgdb comes with it.
    valgrind: () => onPath('valgrind', env),
    wrk: () => onPath('wrk', env),
  };
  return needed.filter((program) => find[program]() === undefined);
}

export function planInstall(missing: readonly Program[], machine: Machine): InstallPlan {
  if (missing.length === 0) return { kind: 'nothing' };
  if (machine.hasApt && machine.isRoot) return { kind: 'apt', prefix: [] };
  if (machine.hasApt && machine.hasSudo) return { kind: 'apt', prefix: ['sudo', '-n'] };
  return { kind: 'ask', message: howToInstall(missing) };
}

export function howToInstall(missing: readonly Program[]): string {
  const names = (table: Readonly<Record<Program, string>>) =>
    missing.map((program) => table[program]).join(' ');
  const debian = missing.map((program) => DEBIAN_PACKAGES[program][0]).join(' ');
  const isForServers = missing.some((program) => !TOOLS.has(program));
  return [
    `Missing: ${missing.map((program) => TITLES[program]).join(', ')}. Install and start again:`,
    `  Debian, Ubuntu:  sudo apt-get install ${debian}`,
    `  Fedora:          sudo dnf install ${names(FEDORA_PACKAGES)}`,
    `  macOS:           brew install ${names(MACOS_PACKAGES)}`,
    ...(isForServers
      ? ['Or use servers that are running: set REDIS_URL, DATABASE_URL, KAFKA_BROKERS.']
      : []),
  ].join('\n');
}

/** Makes sure that the programs are there; throws MissingProgramsError when they cannot be had. */
export async function installPrograms(
  needed: readonly Program[],
  env: NodeJS.ProcessEnv,
  onProgress: OnProgress,
): Promise<void> {
  const missing = missingPrograms(needed, env);
  const plan = planInstall(missing, inspectMachine(env));
  if (plan.kind === 'nothing') return;
  if (plan.kind === 'ask') throw new MissingProgramsError(missing, plan.message);
  const failure = await installWithApt(missing, plan.prefix, env, onProgress);
  const stillMissing = missingPrograms(missing, env);
  if (stillMissing.length === 0) return;
  const reason =
    failure ?? 'apt-get installed its packages, but what they brought is too old or not in PATH';
  throw new MissingProgramsError(stillMissing, `${reason}\n${howToInstall(stillMissing)}`);
}

function inspectMachine(env: NodeJS.ProcessEnv): Machine {
  const hasSudo = onPath('sudo', env) !== undefined;
  return {
    hasApt: onPath('apt-get', env) !== undefined,
    isRoot: process.getuid?.() === 0,
    hasSudo: hasSudo && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0,
  };
}

/** Returns why it failed, undefined when it did not. */
async function installWithApt(
  missing: readonly Program[],
  prefix: readonly string[],
  env: NodeJS.ProcessEnv,
  onProgress: OnProgress,
): Promise<string | undefined> {
  const tell = (detail: string) => onProgress({ step: 'install', state: 'working', detail });
  // Package scripts must not ask questions; sudo passes no environment on, `env` does.
  const apt = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...APT_OPTIONS];
  tell('apt-get update');
  // A list that cannot be renewed may still name what we need: the install decides.
  const updateFailure = await run([...apt, 'update'], env, onProgress);
  const packages = missing.map((program) => availablePackage(DEBIAN_PACKAGES[program], env));
  tell(`apt-get install ${packages.join(' ')}`);
  const install = [...apt, 'install', '--no-install-recommends', ...packages];
  const installFailure = await run(install, env, onProgress);
  return installFailure === undefined
    ? undefined
    : [updateFailure, installFailure].filter((failure) => failure !== undefined).join('\n');
}

function availablePackage(names: readonly string[], env: NodeJS.ProcessEnv): string {
  const hasCandidate = (name: string) => {
    const policy = spawnSync('apt-cache', ['policy', name], {
      encoding: 'utf8',
      env: { ...env, LC_ALL: 'C' },
    });
    return /Candidate: (?!\(none\))/.test(policy.stdout ?? '');
  };
  return names.find(hasCandidate) ?? names[0] ?? '';
}

function run(
  [command = '', ...args]: readonly string[],
  env: NodeJS.ProcessEnv,
  onProgress: OnProgress,
): Promise<string | undefined> {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const onText = (text: string) => {
    output += text;
    const line = text.trim().split('\n').at(-1);
    if (line) onProgress({ step: 'install', state: 'detail', detail: line });
  };
  child.stdout.setEncoding('utf8').on('data', onText);
  child.stderr.setEncoding('utf8').on('data', onText);
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`${command}: ${error.message}`));
    child.once('close', (code) => {
      const reason = output.trim().slice(-REASON_CHARACTERS_MAX);
      resolve(code === 0 ? undefined : `${args.join(' ')} ended with code ${code}:\n${reason}`);
    });
  });
}
