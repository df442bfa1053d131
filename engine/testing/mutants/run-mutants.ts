/** Bugs in what reserves have in common that want the same (lua/includes/runs.lua). */
import type { Mutant } from './mutant.ts';

export const RUN_MUTANTS: readonly Mutant[] = [
  {
    name: 'last-unit-never-sold',
    breaks: 'I6: a run refuses a buyer who wants exactly what there is',
    file: 'lua/includes/runs.lua',
    edits: [
      { find: 'c.a >= units * members', replace: 'c.a > units * members' },
      { find: 'math.floor(c.a / units)', replace: 'math.floor((c.a - 1) / units)' },
    ],
    tests: ['engine/redis/batch.int.test.ts'],
  },
  {
    name: 'one-unit-too-many',
    breaks: 'I1: a run sells one unit more than there is',
    file: 'lua/includes/runs.lua',
    edits: [{ find: 'math.floor(c.a / units)', replace: 'math.floor((c.a + 1) / units)' }],
    tests: ['engine/redis/batch.int.test.ts'],
  },
  {
    name: 'record-of-another-run',
    breaks: 'I4: of several runs in a batch, a reserve is recorded with the units of its neighbour',
    file: 'lua/includes/runs.lua',
    edits: [
      {
        find: 'record_tail, run_column = tails[high * 256 + low + 1], run_column + 2',
        replace: 'record_tail = tails[high * 256 + low + 1]',
      },
    ],
    tests: ['engine/redis/runs.prop.test.ts'],
  },
  {
    name: 'deadline-of-another-run',
    breaks: 'I6: of several runs in a batch, a hold waits for the deadline of its neighbour',
    file: 'lua/includes/runs.lua',
    edits: [
      {
        find: 'if shared ~= deadline then shared = shared == nil and deadline end',
        replace: 'shared = deadline',
      },
    ],
    tests: ['engine/redis/runs.prop.test.ts'],
  },
];
