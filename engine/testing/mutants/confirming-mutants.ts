/** Bugs in what makes Redis confirm a level: WAIT, its count, and who waits for it. */
import type { Mutant } from './mutant.ts';

const CONFIRMED = ['engine/redis/confirmed-scripts.int.test.ts'];

const ROUNDS = ['engine/redis/confirmation-rounds.int.test.ts'];

export const CONFIRMING_MUTANTS: readonly Mutant[] = [
  {
    name: 'wait-on-another-connection',
    breaks: 'I2: WAIT speaks of a connection that wrote nothing, and returns at once',
    file: 'engine/redis/confirmation-rounds.ts',
    edits: [
      {
        find: '  const replies = commands(needed, waitMs).map(([name, ...args]) =>\n    inPipeline(pipeline, name, args),\n  );\n',
        replace:
          '  const { redis } = pipeline as unknown as { redis: Redis & { other?: Redis } };\n' +
          '  redis.other ??= redis.duplicate({ enableOfflineQueue: true });\n' +
          '  const { other } = redis;\n' +
          '  const replies = commands(needed, waitMs).map(([name, ...args]) => other.call(name, ...args));\n',
      },
    ],
    tests: CONFIRMED,
  },
  {
    name: 'ignore-how-many-replicas-have-it',
    breaks: 'I2: a WAIT that timed out is taken for one that succeeded',
    file: 'engine/redis/confirmation.ts',
    edits: [
      {
        find: "    typeof reply === 'number' && reply >= enough(needed);\n",
        replace: "    typeof reply === 'number' && needed >= 0;\n",
      },
    ],
    tests: CONFIRMED,
  },
  {
    name: 'take-a-majority-for-enough',
    breaks: 'I2: the replica that Sentinel promotes may be the one that does not have it',
    file: 'engine/redis/confirmation.ts',
    edits: [
      {
        find: '(quorum === 0 ? 0 : Math.max(quorum, needed));\n',
        replace: '(needed < 0 ? 0 : quorum);\n',
      },
    ],
    tests: ROUNDS,
  },
  {
    name: 'count-a-silent-replica-for-a-slow-one',
    breaks: 'I2: one that has it and fell silent hides one in sync that does not have it',
    file: 'lua/commands/confirm.lua',
    edits: [{ find: '  if reached >= slowest then', replace: '  if reached == slowest then' }],
    tests: ROUNDS,
  },
  {
    name: 'let-a-replica-leave-at-once',
    breaks: 'I2: the one that was promoted while the primary hung is not waited for',
    file: 'engine/redis/needed-replicas.ts',
    edits: [
      {
        find: '    if (now - this.#lowerSinceMs >= LEAVE_MS) {',
        replace: '    if (now - this.#lowerSinceMs < LEAVE_MS) {',
      },
    ],
    tests: ['engine/redis/needed-replicas.test.ts'],
  },
  {
    name: 'answer-a-retry-without-waiting',
    breaks: 'I2: a retry says "committed" of what no replica has',
    file: 'engine/redis/replica-waits.ts',
    edits: [
      {
        find: '    if (this.#isConfirmed(wait)) {\n',
        replace: '    if (this.#isConfirmed(wait) || !this.#mayBeConfirmed(wait)) {\n',
      },
    ],
    tests: [...CONFIRMED, 'engine/redis/replica-waits.prop.test.ts'],
  },
  {
    name: 'believe-a-node-that-was-another-meanwhile',
    breaks: 'I2: what WAIT counted belongs to another history than what the script wrote',
    file: 'engine/redis/confirmation.ts',
    edits: [
      {
        find: '  return isSameHistory(before, now) ? reader.u16() : undefined;\n',
        replace:
          '  if (isFenced(now)) return 0;\n  return isSameHistory(before, now) ? reader.u16() : undefined;\n',
      },
    ],
    tests: CONFIRMED,
  },
  {
    name: 'one-crowd-takes-every-connection',
    breaks: 'reserves are never replicated while enough settlements wait for that, too',
    file: 'engine/redis/lane.ts',
    edits: [{ find: 'rooms++ % 2 === 0 ?', replace: 'rooms++ >= 0 ?' }],
    tests: ['engine/redis/taking-turns.int.test.ts'],
  },
  {
    name: 'hung-confirmations-hold-every-place',
    breaks: 'nothing is sent beside confirmed batches whose connections hang',
    file: 'engine/redis/batcher.ts',
    edits: [{ find: 'isConfirmed ? setTimeout(leave, waitMs) : undefined', replace: 'undefined' }],
    tests: ['engine/redis/batcher.test.ts'],
  },
];
