/** What the error of a command that Redis did not do says of it. */

/** False: it was never sent, or Redis answered it. */
export function mayArrive({ name, message }: Error): boolean {
  return name !== 'ReplyError' && !message.includes('writeable');
}

/** Both are said before a script has written anything: Redis refuses it whole, or its first write. */
const NOTHING_CHANGED = 'Nothing was changed.';

/** What a client may be told; the log has the rest. */
export function publicReason({ message }: Error): string {
  if (/writeable|Connection is closed|ECONN/.test(message)) return 'Redis cannot be reached.';
  if (/timed out/.test(message)) return 'Redis did not answer in time.';
  if (message.startsWith('NOREPLICAS'))
    return `Redis has too few replicas in reach to take writes. ${NOTHING_CHANGED}`;
  if (message.startsWith('OOM'))
    return `Redis is out of memory; it takes no more reserves for now. ${NOTHING_CHANGED}`;
  return 'Redis could not do it; the log of the engine says why.';
}
