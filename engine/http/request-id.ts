// Request ids: the client's where it is harmless, else ours. They stand in headers, problems and
// logs, so only characters that need no escaping anywhere are let through.

import { randomBytes } from 'node:crypto';

const WELL_FORMED = /^[A-Za-z0-9._-]{1,64}$/;

/** A source of ids that are unique to this server: a random prefix and a count. */
export function requestIds(): () => string {
  const prefix = `${randomBytes(9).toString('base64url')}-`;
  let count = 0;
  return () => {
    count += 1;
    return prefix + count;
  };
}

/** The client's id when it is 1 to 64 of `A-Za-z0-9._-`, else one from `next`. */
export function requestIdOf(header: string | undefined, next: () => string): string {
  return header !== undefined && header !== '' && WELL_FORMED.test(header) ? header : next();
}
