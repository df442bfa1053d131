/** What is wrong with the settings of a server that Holdfast works with, in words that mend it. */

export interface Finding {
  /** An error breaks a promise that Holdfast makes; a warning costs something, or weakens one. */
  readonly severity: 'error' | 'warning';
  /** `Redis 10.0.0.5:6379`. */
  readonly where: string;
  /** What it is, and what it should be. */
  readonly what: string;
  /** What happens else. */
  readonly why: string;
  /** The command that mends it. */
  readonly mend: string;
}

/** The settings cannot be worked with; the message lists every finding. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly findings: readonly Finding[];

  constructor(findings: readonly Finding[]) {
    super(
      `The settings of the servers do not keep what Holdfast promises:\n${renderFindings(findings)}\n` +
        'HOLDFAST_SETTINGS_CHECK=warn starts all the same.',
    );
    this.findings = findings;
  }
}

/** Errors first. */
export function renderFindings(findings: readonly Finding[]): string {
  const rank = ({ severity }: Finding): number => (severity === 'error' ? 0 : 1);
  return [...findings]
    .sort((one, other) => rank(one) - rank(other))
    .map(
      ({ severity, where, what, why, mend }) =>
        `  ${severity}: ${where}: ${what}\n    because: ${why}\n    mend:    ${mend}`,
    )
    .join('\n');
}
