/** `Prefer: durability=...` (RFC 7240): what the client wants its answer to be sure of. */
import type { DurabilityLevel } from '../domain/durability.ts';
import { DURABILITY_LEVELS, isDurabilityLevel } from '../domain/durability.ts';

export type Preference =
  | { readonly kind: 'level'; readonly level: DurabilityLevel | undefined }
  | { readonly kind: 'invalid'; readonly detail: string };

const NONE: Preference = Object.freeze({ kind: 'level', level: undefined });

/**
 * Preferences that we do not know are passed over, as the RFC asks; a durability that we do not
 * know is not, because the client would take less for more. Named twice, the first counts.
 */
export function readPreference(header: string | undefined): Preference {
  if (header === undefined || header === '') return NONE;
  for (const part of header.split(',')) {
    const [token = ''] = part.split(';', 1);
    const equals = token.indexOf('=');
    const name = (equals < 0 ? token : token.slice(0, equals)).trim().toLowerCase();
    if (name !== 'durability') continue;
    const level = equals < 0 ? '' : unquote(token.slice(equals + 1).trim());
    if (isDurabilityLevel(level)) return { kind: 'level', level };
    return {
      kind: 'invalid',
      detail:
        `Prefer names the durability '${level}'; it may be ${DURABILITY_LEVELS.join(', ')}. ` +
        'Nothing was changed.',
    };
  }
  return NONE;
}

function unquote(value: string): string {
  const isQuoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"');
  return (isQuoted ? value.slice(1, -1) : value).toLowerCase();
}

/** For `Preference-Applied`, when the request preferred a level. */
export function appliedPreference(level: DurabilityLevel): string {
  return `durability=${level}`;
}
