/** What an audit of Redis, log and PostgreSQL found, in the words of a report. */

const SHOWN_MAX = 3;

/** How many, and the first few of them. */
export function differenceWords(differences: readonly unknown[]): string[] {
  return [
    `${differences.length} differences between Redis, log and PostgreSQL`,
    ...differences.slice(0, SHOWN_MAX).map((each) => JSON.stringify(each)),
  ];
}
