/** Bugs in what reserves have in common that want the same (lua/includes/runs.lua). */
import type { Mutant } from './mutant.ts';

export const RUN_MUTANTS: readonly Mutant[] = [
  {
    name: 'last-unit-never-sold',
    breaks: 'I6: a run refuses a buyer who wants exactly what there is',
    file: 'lua/includes/runs.lua',
    edits: [
      { find: 'a < wanted or', replace: 'a <= wanted or' },
      { find: 'math.floor(a / form.units)', replace: 'math.floor((a - 1) / form.units)' },
    ],
    tests: ['engine/redis/batch.int.test.ts'],
  },
  {
    name: 'one-unit-too-many',
    breaks: 'I1: a run sells one unit more than there is',
    file: 'lua/includes/runs.lua',
    edits: [{ find: 'math.floor(a / form.units)', replace: 'math.floor((a + 1) / form.units)' }],
    tests: ['engine/redis/batch.int.test.ts'],
  },
  {
    name: 'record-of-another-run',
    breaks: 'I4: of several runs in a batch, a reserve is recorded with the units of its neighbour',
    file: 'lua/includes/runs.lua',
    edits: [
      {
        find: 'local r = run_of[k] * 256 + run_of[k + 1] + 1',
        replace: 'local r = run_of[1] * 256 + run_of[2] + 1',
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
        find: 'if terms then other_terms[count] = form.terms else terms = form.terms end',
        replace: 'terms = form.terms',
      },
    ],
    tests: ['engine/redis/runs.prop.test.ts'],
  },
  {
    name: 'run-field-cut-short',
    breaks: 'I3, I7: a reserve in a run has its record where nobody looks for it',
    file: 'lua/includes/runs.lua',
    edits: [
      {
        find: '        list[i] = sub(refs, at, at + 8)\n        list[i + 1] = held .. sub(columns, mark, mark + 7) .. tail',
        replace:
          '        list[i] = sub(refs, at, at + 7)\n        list[i + 1] = held .. sub(columns, mark, mark + 7) .. tail',
      },
    ],
    tests: ['engine/redis/settle.int.test.ts'],
  },
];
