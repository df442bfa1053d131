/** The `holdfast` command: what it can do, and how it ends when it cannot. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { packageRoot } from '../../deploy/local/paths.ts';

const HELP = `
Exit codes: 0 done; 1 refused, or a check found something; 2 usage; 3 something is not running.
Every command says its own with --help.

Examples:
  $ holdfast dev                          everything in one process on the local stack
  $ holdfast reserve MUG@LON:2            try it
  $ holdfast lanes                        whether it sells, who is behind, the last recoveries
  $ holdfast audit                        prove that Redis, the log and PostgreSQL agree
  $ holdfast reconcile                    what differs, why, and what --apply would do`;

interface CommandFile {
  readonly names: readonly string[];
  readonly load: () => Promise<readonly Command[]>;
}

/**
 * Each with the file that it is in: a process loads what its own command needs, because a role that
 * starts in a second would else spend two on what others do.
 */
export const COMMAND_FILES: readonly CommandFile[] = [
  {
    names: ['dev', 'serve', 'relay', 'persist', 'recover', 'migrate'],
    load: async () => (await import('./role-commands.ts')).roleCommands(),
  },
  { names: ['restored'], load: async () => [(await import('./restored.ts')).restoredCommand()] },
  { names: ['stack'], load: async () => [(await import('./stack.ts')).stackCommand()] },
  { names: ['stock'], load: async () => [(await import('./import.ts')).importCommand()] },
  {
    names: ['reserve', 'commit', 'release', 'availability'],
    load: async () => (await import('./try.ts')).tryCommands(),
  },
  { names: ['audit'], load: async () => [(await import('./audit.ts')).auditCommand()] },
  { names: ['reconcile'], load: async () => [(await import('./reconcile.ts')).reconcileCommand()] },
  { names: ['check'], load: async () => [(await import('./check.ts')).checkCommand()] },
  { names: ['lanes'], load: async () => [(await import('./lanes.ts')).lanesCommand()] },
  { names: ['entry'], load: async () => [(await import('./entry.ts')).entryCommand()] },
  { names: ['chaos'], load: async () => [(await import('./chaos.ts')).chaosCommand()] },
  { names: ['demo'], load: async () => [(await import('./demo.ts')).demoCommand()] },
  { names: ['bench'], load: async () => [(await import('./bench.ts')).benchCommand()] },
];

/** With the command that the first argument names; with all of them when it names none. */
export async function createProgram(name: string | undefined): Promise<Command> {
  const program = new Command('holdfast')
    .description('a flash-sale-grade, Redis-first inventory reservation engine')
    .version(version())
    .addHelpText('after', HELP)
    .showHelpAfterError('(holdfast --help lists the commands)');
  const named = COMMAND_FILES.filter(({ names }) => name !== undefined && names.includes(name));
  for (const { load } of named.length > 0 ? named : COMMAND_FILES) {
    for (const command of await load()) program.addCommand(command);
  }
  for (const command of allCommands(program)) command.exitOverride();
  return program;
}

function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'));
  return (manifest as { version: string }).version;
}

/** Runs one command line; sets the exit code, never throws. */
export async function runProgram(argv: readonly string[]): Promise<void> {
  try {
    const program = await createProgram(argv[2]);
    await program.parseAsync([...argv]);
  } catch (error) {
    process.exitCode = await explain(error);
  }
}

async function explain(error: unknown): Promise<number> {
  const { verdictOf } = await import('./verdict.ts');
  const { message, exitCode } = verdictOf(error);
  if (message !== undefined) process.stderr.write(`${message}\n`);
  return exitCode;
}
