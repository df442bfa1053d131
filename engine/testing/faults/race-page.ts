/** The races of commits against expiry on the page of evidence. */
import { number, SHOWN_MAX, share, table } from './page.ts';
import type { RacesRecord } from './record.ts';

export function racesTable(records: readonly RacesRecord[]): string {
  if (records.length === 0) return '';
  const rows = records.map((record) => [
    record.at.slice(0, 16),
    record.log,
    record.seed,
    number(record.races),
    share(record.committed, record.races),
    share(record.expired, record.races),
    share(record.contested, record.races),
    number(record.neither),
    number(record.both),
    number(record.violations.length),
    number(record.seconds),
  ]);
  const head = ['at', 'log', 'seed', 'races', 'the commit won', 'expiry won', 'contested'];
  return `## Commit against expiry

Holds of two seconds over two engines, each committed at about the moment at which it runs out, a quarter of them through both
engines at once, while both sweep (\`npm run test:faults -- --races 1000000\`). Who won is read from the log, and must be what
the client heard, and what Redis and PostgreSQL say. *Contested*: asked for between the first commit that lost and the
last that won of the same deadline, so that the moment of asking alone did not decide.

${table([...head, 'neither', 'both', 'violations', 'seconds'], rows)}${violationsOfRaces(records)}`;
}

function violationsOfRaces(records: readonly RacesRecord[]): string {
  const lines = records.flatMap(({ seed, violations }) =>
    violations
      .slice(0, SHOWN_MAX)
      .map(({ invariant, where, what }) => `- seed ${seed}: ${invariant}, ${where}: ${what}`),
  );
  return lines.length === 0 ? '' : `\n\n${lines.join('\n')}`;
}
