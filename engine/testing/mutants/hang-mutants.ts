/** Bugs in how long an answer waits for a store that hangs: its connections stay open, it says nothing. */
import type { Mutant } from './mutant.ts';

const ARCHIVE = ['engine/reservations/archive.int.test.ts'];
const READER = ['engine/postgres/reader.int.test.ts'];
const WHOLE = ['engine/reservations/hung-postgres.int.test.ts'];
const MARKS = ['engine/redis/watermarks.int.test.ts'];

const BOUNDED = 'an answer comes in its own time, whatever its store does: ';

export const HANG_MUTANTS: readonly Mutant[] = [
  {
    name: 'wait-for-the-position-as-long-as-postgres-hangs',
    breaks: `${BOUNDED}a look-up stands for half a minute`,
    file: 'engine/reservations/archive.ts',
    edits: [
      {
        find: 'await readPosition(reader, options.lane);',
        replace: 'await readPosition(deadline > 0 ? options.pool : reader, options.lane);',
      },
    ],
    tests: ARCHIVE,
  },
  {
    name: 'wait-for-a-connection-as-long-as-the-pool-does',
    breaks: `${BOUNDED}behind connections that hang it takes five seconds`,
    file: 'engine/postgres/reader.ts',
    edits: [
      {
        find: 'within(ask<Row>(pool, question), leftMs)',
        replace: 'within(ask<Row>(pool, question), leftMs + 2 ** 30)',
      },
    ],
    tests: READER,
  },
  {
    name: 'keep-the-connection-of-a-question-that-was-given-up',
    breaks: `${BOUNDED}what nobody waits for any more stands in the way of the next`,
    file: 'engine/postgres/reader.ts',
    edits: [{ find: 'query_timeout: leftMs };', replace: 'query_timeout: leftMs + 30_000 };' }],
    tests: READER,
  },
  {
    name: 'look-at-the-registry-as-long-as-postgres-hangs',
    breaks: `${BOUNDED}a final no waits for its sign of life, and the next one behind it`,
    file: 'engine/engine.ts',
    edits: [
      {
        find: 'readRegistryRow(readerUntil(pool, deadline), LANE)',
        replace: 'readRegistryRow(deadline > 0 ? pool : readerUntil(pool, deadline), LANE)',
      },
    ],
    tests: WHOLE,
  },
  {
    name: 'end-a-wait-only-when-redis-has-answered',
    breaks: `${BOUNDED}"durability_unknown" comes when the client gives the question up`,
    file: 'engine/redis/watermarks.ts',
    edits: [
      {
        find: '    for (const level of LOGGED_LEVELS) levels[level].endLate();\n',
        replace:
          '    if (isReading) return;\n    for (const level of LOGGED_LEVELS) levels[level].endLate();\n',
      },
    ],
    tests: MARKS,
  },
  {
    name: 'ask-a-redis-that-hangs-again-and-again',
    breaks: 'what Redis has to do when it wakes grows with the time that it hung',
    file: 'engine/redis/watermarks.ts',
    edits: [
      {
        find: 'if (!isReading && logged.length',
        replace: 'if (isReading !== undefined && logged.length',
      },
    ],
    tests: MARKS,
  },
];
