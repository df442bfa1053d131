/** `holdfast check`: whether the servers are set up so that Holdfast can keep its promises. */
import { Command } from 'commander';
import { defaultStackDirectory } from '../../deploy/local/paths.ts';
import { stackAddresses } from '../../deploy/local/stack-status.ts';
import { readConfig } from '../runtime/config.ts';
import { renderFindings } from '../runtime/finding.ts';
import { EXIT } from './api.ts';
import { findSettings, renderUnreachable } from './check-settings.ts';

const HELP = `
Asks every data node, every Sentinel, PostgreSQL and Kafka for the settings that matter, and says of each that is
wrong what happens else and which command mends it. It changes nothing. Every role does the same at its start, and
does not start on an error unless HOLDFAST_SETTINGS_CHECK=warn.
Without variables it looks at the local stack that \`holdfast dev\` uses.
It is the gate of a rollout: a wrong address, which an engine would wait at, is found here.

Exit codes:
  0  nothing is wrong, or warnings only
  1  an error: a promise would be broken
  2  the environment is wrong, or a store does not let us in
  3  a store that the environment names cannot be reached: nothing of it was checked, whatever else was found

Examples:
  $ holdfast check
  $ holdfast check --json | jq -r '.findings[] | .mend'`;

export function checkCommand(): Command {
  return new Command('check')
    .description("the servers' settings, and what mends them")
    .option('--json', 'print the report as one JSON object')
    .addHelpText('after', HELP)
    .action(check);
}

async function check({ json }: { readonly json?: boolean }): Promise<void> {
  const local = stackAddresses(defaultStackDirectory(), process.env);
  const given = Object.entries(process.env).filter(([, value]) => value !== '');
  const report = await findSettings(readConfig({ ...local, ...Object.fromEntries(given) }));
  const { checked, findings, unreachable } = report;
  const isWell = findings.length + unreachable.length === 0;
  const words = [
    ...checked.map((each) => `checked ${each}`),
    ...(unreachable.length === 0 ? [] : [renderUnreachable(unreachable)]),
    ...(findings.length === 0 ? [] : [renderFindings(findings)]),
    ...(isWell ? ['nothing is wrong'] : []),
  ];
  process.stdout.write(
    json === true ? `${JSON.stringify(report, null, 2)}\n` : `${words.join('\n')}\n`,
  );
  if (unreachable.length > 0) process.exitCode = EXIT.unavailable;
  else if (findings.some(({ severity }) => severity === 'error')) process.exitCode = EXIT.refused;
}
