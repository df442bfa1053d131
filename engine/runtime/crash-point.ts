/**
 * Named places at which a process kills itself, so that tests see what a crash exactly there leaves
 * behind. `HOLDFAST_CRASH_AT=<point>` kills at the first time the point is passed,
 * `HOLDFAST_CRASH_AT=<point>:<nth>` at the nth. Unset, a point is a call of an empty function.
 */

/** Every point, in the order in which a record meets them. */
export const CRASH_POINTS = {
  relay: [
    'relay.after_read',
    'relay.before_produce',
    'relay.after_produce',
    'relay.before_mark',
    'relay.after_mark',
    'relay.after_trim',
  ],
  persister: [
    'persister.before_begin',
    'persister.after_begin',
    'persister.after_send',
    'persister.after_commit',
    'persister.after_mark',
    'persister.after_trim',
  ],
  recovery: [
    'recovery.after_term',
    'recovery.after_claim',
    'recovery.after_fence',
    'recovery.after_fence_applied',
    'recovery.after_lineage',
    'recovery.in_relay',
    'recovery.after_relay',
    'recovery.in_wipe',
    'recovery.after_wipe',
    'recovery.in_copy',
    'recovery.after_copy',
    'recovery.after_replicate',
    'recovery.after_registry',
    'recovery.after_open',
  ],
  reconcile: ['reconcile.before_repair', 'reconcile.after_repair', 'reconcile.before_journal'],
} as const;

export type CrashPointName = (typeof CRASH_POINTS)[keyof typeof CRASH_POINTS][number];

/** Call it where the point is. */
export type CrashPoint = (name: CrashPointName) => void;

export const noCrashPoint: CrashPoint = () => undefined;

export const CRASH_VARIABLE = 'HOLDFAST_CRASH_AT';

/** Throws when the variable names no point, so that a test cannot pass by a misspelling. */
export function crashPointFrom(
  env: NodeJS.ProcessEnv,
  kill: () => void = () => process.kill(process.pid, 'SIGKILL'),
): CrashPoint {
  const wanted = env[CRASH_VARIABLE];
  if (wanted === undefined || wanted === '') return noCrashPoint;
  const [name, nth = '1'] = wanted.split(':');
  const names: readonly string[] = Object.values(CRASH_POINTS).flat();
  let left = Number(nth);
  if (name === undefined || !names.includes(name) || !Number.isInteger(left) || left < 1) {
    throw new Error(
      `${CRASH_VARIABLE}=${wanted}: want <point>[:<nth>], point of ${names.join(', ')}`,
    );
  }
  return (passed) => {
    if (passed === name && --left === 0) kill();
  };
}
