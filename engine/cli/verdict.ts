/** What an error means to whoever started a command: the words for a person, and the exit code. */
import { CommanderError } from 'commander';
import { SchemaError } from '../../persister/migrate.ts';
import { ConfigError } from '../runtime/config.ts';
import { SettingsError } from '../runtime/finding.ts';
import { ListenError } from '../runtime/listen-error.ts';
import { isRefused, isUnreachable, reasonOf } from '../runtime/unreachable.ts';
import { CommandError, EXIT } from './api.ts';

export interface Verdict {
  /** Undefined: it has been told already. */
  readonly message: string | undefined;
  readonly exitCode: number;
  /** Neither a failure of ours nor a store that is away: no time mends it. */
  readonly isFinal: boolean;
}

export function verdictOf(error: unknown): Verdict {
  if (error instanceof CommanderError) {
    return final(undefined, error.exitCode === 0 ? 0 : EXIT.usage);
  }
  if (error instanceof CommandError) return final(error.message, error.exitCode);
  if (error instanceof ConfigError || error instanceof SettingsError) {
    return final(error.message, EXIT.usage);
  }
  if (error instanceof ListenError || error instanceof SchemaError) {
    return final(error.message, EXIT.refused);
  }
  if (isUnreachable(error)) {
    const message = `A store cannot be reached: ${reasonOf(error)}. Check REDIS_URL, DATABASE_URL and KAFKA_BROKERS.`;
    return { message, exitCode: EXIT.unavailable, isFinal: false };
  }
  if (isRefused(error)) {
    return final(
      `A store does not let us in: ${error.message}. Correct user, password and database in REDIS_URL or DATABASE_URL.`,
      EXIT.usage,
    );
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { message, exitCode: 1, isFinal: false };
}

function final(message: string | undefined, exitCode: number): Verdict {
  return { message, exitCode, isFinal: true };
}
