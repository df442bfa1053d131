/** Bugs in what makes Redis confirm a level: WAIT, its count, and who waits for it. */
import type { Mutant } from './mutant.ts';

const CONFIRMED = ['engine/redis/confirmed-scripts.int.test.ts'];

export const CONFIRMING_MUTANTS: readonly Mutant[] = [
  {
    name: 'wait-on-another-connection',
    breaks: 'I2: WAIT speaks of a connection that wrote nothing, and returns at once',
    file: 'engine/redis/confirming-connections.ts',
    edits: [
      {
        find: '    await whenReady(made, READY_MS_MAX);\n',
        replace:
          '    await whenReady(made, READY_MS_MAX);\n    Object.assign(made, { other: made.duplicate({ enableOfflineQueue: true }) });\n',
      },
      {
        find: 'inPipeline(pipeline, command, wanted).then(',
        replace: '(redis as Redis & { other: Redis }).other.call(command, ...wanted).then(',
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
        find: "    isReached: (reply) => typeof reply === 'number' && reply >= quorum,\n",
        replace: "    isReached: (reply) => typeof reply === 'number',\n",
      },
    ],
    tests: CONFIRMED,
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
        find: '  return !isFenced(now) && now.epoch === before.epoch && now.seq >= before.seq;\n',
        replace:
          '  return isFenced(now) || (now.epoch === before.epoch && now.seq >= before.seq);\n',
      },
    ],
    tests: CONFIRMED,
  },
];
