/** The `holdfast` command: what it can do, and how it ends when it cannot. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { packageRoot } from '../../deploy/local/paths.ts';
import { auditCommand } from './audit.ts';
import { benchCommand } from './bench.ts';
import { chaosCommand } from './chaos.ts';
import { checkCommand } from './check.ts';
import { demoCommand } from './demo.ts';
import { entryCommand } from './entry.ts';
import { importCommand } from './import.ts';
import { lanesCommand } from './lanes.ts';
import { reconcileCommand } from './reconcile.ts';
import { restoredCommand } from './restored.ts';
import { roleCommands } from './role-commands.ts';
import { stackCommand } from './stack.ts';
import { tryCommands } from './try.ts';
import { verdictOf } from './verdict.ts';

const HELP = `
Exit codes: 0 done; 1 refused, or a check found something; 2 usage; 3 something is not running.
Every command says its own with --help.

Examples:
  $ holdfast dev                          everything in one process on the local stack
  $ holdfast reserve MUG@LON:2            try it
  $ holdfast lanes                        whether it sells, who is behind, the last recoveries
  $ holdfast audit                        prove that Redis, the log and PostgreSQL agree
  $ holdfast reconcile                    what differs, why, and what --apply would do`;

export function createProgram(): Command {
  const program = new Command('holdfast')
    .description('a flash-sale-grade, Redis-first inventory reservation engine')
    .version(version())
    .addHelpText('after', HELP)
    .showHelpAfterError('(holdfast --help lists the commands)');
  const commands = [
    ...roleCommands(),
    restoredCommand(),
    stackCommand(),
    importCommand(),
    ...tryCommands(),
    auditCommand(),
    reconcileCommand(),
    checkCommand(),
    lanesCommand(),
    entryCommand(),
    chaosCommand(),
    demoCommand(),
    benchCommand(),
  ];
  for (const command of commands) program.addCommand(command);
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
    await createProgram().parseAsync([...argv]);
  } catch (error) {
    process.exitCode = explain(error);
  }
}

function explain(error: unknown): number {
  const { message, exitCode } = verdictOf(error);
  if (message !== undefined) process.stderr.write(`${message}\n`);
  return exitCode;
}
