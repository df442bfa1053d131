/** Bugs in what stands around the scripts: engine, relay, persister's marks, recovery. */
import type { Mutant } from './mutant.ts';

const RELAY = ['engine/relay/relay.int.test.ts'];
const RECOVER = ['reconciler/recover.int.test.ts'];

const LOG: readonly Mutant[] = [
  {
    name: 'mark-before-commit',
    breaks: 'I2: "persisted" is published while PostgreSQL may still say no',
    file: 'persister/persister.ts',
    edits: [
      {
        find: '    const applied = await applying;\n',
        replace: '    this.#mark(to);\n    const applied = await applying;\n',
      },
    ],
    tests: ['persister/before-commit.int.test.ts'],
  },
  {
    name: 'persister-trims-before-commit',
    breaks: 'I2: the stream loses what PostgreSQL may still refuse',
    file: 'persister/persister.ts',
    edits: [
      {
        find: '    const applied = await applying;\n',
        replace: '    this.#trim(to);\n    const applied = await applying;\n',
      },
    ],
    tests: ['persister/before-commit.int.test.ts'],
  },
  {
    name: 'relay-a-closed-lane',
    breaks: "I2: the tail of a closed lane goes out before recovery's lineage check",
    file: 'engine/relay/relay.ts',
    edits: [
      {
        find: '  if (!tail.open) return "the lane is closed: its tail is recovery\'s";\n',
        replace: '',
      },
    ],
    tests: RELAY,
  },
  {
    name: 'logged-before-it-is-proven',
    breaks: 'I2: a record counts as logged though a fence may stand before it',
    file: 'engine/relay/relay.ts',
    edits: [
      {
        find: '    if (anchor === undefined && next !== undefined) this.#marks',
        replace: '    if ((anchor ?? 0n) >= 0n && next !== undefined) this.#marks',
      },
    ],
    tests: RELAY,
  },
  {
    name: 'relay-any-stream',
    breaks: 'I4: a stream that does not continue what PostgreSQL has stops every consumer',
    file: 'engine/relay/relay.ts',
    edits: [
      {
        find: '    if (first === undefined || continues(position, first)) {\n',
        replace: '    if (first === undefined || continues(position, first) || first.seq > 0) {\n',
      },
    ],
    tests: RELAY,
  },
];

const WAITING: readonly Mutant[] = [
  {
    name: 'watermark-compared-across-epochs',
    breaks: 'I2: a mark of the next epoch acknowledges what the recovery dropped',
    file: 'engine/redis/watermarks.ts',
    edits: [
      {
        find: '      if (this.covers(stamp)) this.#tell(wait, true);\n      else if (stamp.epoch < this.#mark.epoch || until <= time) this.#tell(wait, false);\n',
        replace:
          '      if (!isBehind(stamp, this.#mark)) this.#tell(wait, true);\n      else if (until <= time) this.#tell(wait, false);\n',
      },
    ],
    tests: ['engine/redis/watermarks.int.test.ts'],
  },
  {
    name: 'acknowledge-before-it-is-logged',
    breaks: 'I2: a level that was missed in time is reported as reached',
    file: 'engine/reservations/assurance.ts',
    edits: [
      {
        find: '      if (reached) decide();\n',
        replace: "      if (reached || level === 'logged') decide();\n",
      },
    ],
    tests: ['engine/reservations/assurance.test.ts'],
  },
  {
    name: 'show-a-commit-before-it-is-logged',
    breaks: 'I2: a look-up or a retry says "committed" of what may still be lost',
    file: 'engine/reservations/assurance.ts',
    edits: [
      {
        find: "  return showsCommitted ? stronger(usual, usualLevel('commit', lines, policy)) : usual;\n",
        replace: '  return showsCommitted ? stronger(usual, usual) : usual;\n',
      },
    ],
    tests: ['engine/reservations/assurance.test.ts'],
  },
  {
    name: 'final-no-without-a-sign-of-life',
    breaks: 'I2: a node that was replaced says that a committed order is not known',
    file: 'engine/reservations/assurance.ts',
    edits: [
      {
        find: '      if (alive) decide();\n',
        replace: '      if (alive || !alive) decide();\n',
      },
    ],
    tests: ['engine/reservations/assurance.test.ts'],
  },
  {
    name: 'sign-of-life-from-before',
    breaks: 'I2: a look at the registry that began before the reply counts as one after it',
    file: 'engine/redis/watermarks.ts',
    edits: [
      {
        find: '      for (const { stamp, until, done } of askers) {\n        if (row === undefined) waitForEntry(stamp, until, done);\n',
        replace:
          '      for (const { stamp, until, done } of [...askers, ...asking.splice(0)]) {\n        if (row === undefined) waitForEntry(stamp, until, done);\n',
      },
    ],
    tests: ['engine/redis/watermarks.int.test.ts'],
  },
  {
    name: 'take-a-retry-for-a-fresh-request',
    breaks: 'I3: the id of an Idempotency-Key is not looked for before it is used',
    file: 'engine/reservations/identity.ts',
    edits: [
      {
        find: "  return { kind: 'identified', packed, text, fresh: false };",
        replace: "  return { kind: 'identified', packed, text, fresh: true };",
      },
    ],
    tests: ['engine/reservations/identity.test.ts'],
  },
];

const RECOVERY: readonly Mutant[] = [
  {
    name: 'recovery-without-lineage-check',
    breaks: 'I1, I5: a fork is taken for a Redis that is level, and goes on selling',
    file: 'reconciler/lineage.ts',
    edits: [
      {
        find: "  if (await source.isApplied(top)) return { kind: 'nothing' };\n",
        replace: "  if (top.seq >= 0) return { kind: 'nothing' };\n",
      },
    ],
    tests: ['reconciler/lineage.prop.test.ts'],
  },
  {
    name: 'lineage-without-nonces',
    breaks: 'I4: a fork of the same length is taken for the history of PostgreSQL',
    file: 'engine/log/place.ts',
    edits: [
      {
        find: ' && a.nonce.equals(b.nonce);',
        replace: ' && a.nonce.length === b.nonce.length;',
      },
    ],
    tests: ['reconciler/lineage.prop.test.ts'],
  },
  {
    name: 'rebuild-over-a-postgres-that-is-behind',
    breaks: 'I2: entries that only Redis has are dropped, because PostgreSQL lacks them',
    file: 'reconciler/lineage.ts',
    edits: [
      {
        find: "  return { kind: (await source.isApplied(base)) ? 'fork' : 'behind', base };\n",
        replace: "  return { kind: base.seq >= 0 ? 'fork' : 'behind', base };\n",
      },
    ],
    tests: ['reconciler/lineage.prop.test.ts'],
  },
  {
    name: 'copy-the-newer-rows-over-a-fork',
    breaks: 'I1: holds of a fork stay, and their units come back when they expire',
    file: 'reconciler/copy-back.ts',
    edits: [
      {
        find: "  if (lineage === 'fork') {\n",
        replace: "  if (lineage === 'fork' && before.seq === 0) {\n",
      },
      {
        find: '  if (!(await isApplied(deps.pool, deps.lane, before))) {\n',
        replace:
          '  if (before.seq > head.seq && !(await isApplied(deps.pool, deps.lane, before))) {\n',
      },
    ],
    tests: RECOVER,
  },
  {
    name: 'trust-a-copy-that-died-half-way',
    breaks: 'I2: an empty Redis is given the newest rows only',
    file: 'reconciler/copy-back.ts',
    edits: [{ find: '  if (before.seq === 0) {\n', replace: '  if (before.seq < 0) {\n' }],
    tests: RECOVER,
  },
  {
    name: 'one-number-for-two-recoveries',
    breaks: 'I8: two recoveries that saw the same registry both take the next term',
    file: 'reconciler/registry.ts',
    edits: [
      {
        find: "UPDATE lanes SET term = $4, state = 'recovering', updated_at = clock_timestamp()\n       WHERE lane = $1 AND term = $2 AND state = $3",
        replace:
          "UPDATE lanes SET term = $4, state = 'recovering', updated_at = clock_timestamp()\n       WHERE lane = $1 AND term >= $2 AND length($3) > 0",
      },
    ],
    tests: ['reconciler/registry.int.test.ts'],
  },
  {
    name: 'open-over-a-position-that-moved',
    breaks: 'I4: the lane opens over another head than the one that was copied',
    file: 'reconciler/registry.ts',
    edits: [{ find: 'AND nonce = $6', replace: 'AND (nonce = $6 OR seq = $5)' }],
    tests: ['reconciler/registry.int.test.ts'],
  },
  {
    name: 'overlook-a-restart',
    breaks: 'I2: a Redis that came back without its tail is not recovered',
    file: 'reconciler/detect.ts',
    edits: [
      {
        find: "  if (!tail.replidMatches) return 'replid';\n",
        replace: "  if (!tail.replidMatches && tail.halfDone) return 'replid';\n",
      },
    ],
    tests: ['reconciler/detect-alone.test.ts'],
  },
];

export const HOST_MUTANTS: readonly Mutant[] = [...LOG, ...WAITING, ...RECOVERY];
