// Request ids: the client's where it is harmless, else ours. They stand in headers, problems and
// logs, so only characters that need no escaping anywhere are let through.

import { randomBytes } from 'node:crypto';

const WELL_FORMED = /^[A-Za-z0-9._-]{1,64}$/;

/**
 * Ours are `PPPPPP-NNNNN`: all as long, so that answers have their place at hand (stamped.ts), and
 * below 13 characters, up to which V8 keeps what it puts together as one piece.
 */
export const MADE_REQUEST_ID_LENGTH = 12;
/** 36 random bits. */
const PREFIX_LENGTH = 6;
/** To a prefix; then another one is drawn. */
const COUNT_MAX = 100_000;
const LAST_DIGITS: readonly string[] = Array.from({ length: 1_000 }, (_, count) =>
  String(count).padStart(3, '0'),
);

/** A source of ids that are unique to this server: a random prefix and a count. */
export function requestIds(): () => string {
  let prefix = '';
  let begun = '';
  let count = COUNT_MAX;
  return () => {
    if (count === COUNT_MAX) {
      count = 0;
      prefix = newPrefix();
    }
    const last = count % 1_000;
    if (last === 0) begun = `${prefix}-${String(count / 1_000).padStart(2, '0')}`;
    count += 1;
    return begun + (LAST_DIGITS[last] ?? '');
  };
}

function newPrefix(): string {
  return randomBytes(PREFIX_LENGTH).toString('base64url').slice(0, PREFIX_LENGTH);
}

/** The client's id when it is 1 to 64 of `A-Za-z0-9._-`, else one from `next`. */
export function requestIdOf(header: string | undefined, next: () => string): string {
  return header !== undefined && header !== '' && WELL_FORMED.test(header) ? header : next();
}
