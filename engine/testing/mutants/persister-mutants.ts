/** Bugs in what brings the log to PostgreSQL. */
import type { Mutant } from './mutant.ts';

const CONSUME = ['persister/consume.test.ts', 'persister/consume.prop.test.ts'];
const APPLY = ['persister/apply.int.test.ts'];

export const PERSISTER_MUTANTS: readonly Mutant[] = [
  {
    name: 'accept-a-lower-term',
    breaks: 'I2, I5: what a zombie wrote behind the fence is applied',
    file: 'persister/consume.ts',
    edits: [
      {
        find: "  if (record.term < position.term) return 'void';\n",
        replace: "  if (record.term < 0) return 'void';\n",
      },
    ],
    tests: CONSUME,
  },
  {
    name: 'a-fence-without-effect',
    breaks: 'I2, I5: a fence passes by, and the lower term goes on behind it',
    file: 'persister/consume.ts',
    edits: [
      {
        find: '    term: Math.max(position.term, record.term),',
        replace:
          '    term: entry === undefined ? position.term : Math.max(position.term, record.term),',
      },
    ],
    tests: CONSUME,
  },
  {
    name: 'apply-a-duplicate-entry',
    breaks: 'I3: an entry that the relay sent twice is applied twice',
    file: 'persister/consume.ts',
    edits: [
      {
        find: "  if (comparePlaces(entry.key, position) <= 0) return 'repeat';\n",
        replace: '  if (comparePlaces(entry.key, position) <= 0) return entry;\n',
      },
    ],
    tests: CONSUME,
  },
  {
    name: 'apply-a-fork',
    breaks: 'I4: an entry of another history is applied, because its number fits',
    file: 'persister/consume.ts',
    edits: [
      {
        find: '  if (!isSameEntry(entry.predecessor, position)) {\n',
        replace:
          '  if (!isSameEntry(entry.predecessor, { ...position, nonce: entry.predecessor.nonce })) {\n',
      },
    ],
    tests: CONSUME,
  },
  {
    name: 'skip-a-gap-in-the-log',
    breaks: 'I2: a record that is missing, which may have been a fence, is not missed',
    file: 'persister/consume.ts',
    edits: [
      {
        find: "  if (form === 'kafka' && record.offset !== position.offset) {",
        replace: "  if (form === 'kafka' && record.offset < position.offset) {",
      },
    ],
    tests: CONSUME,
  },
  {
    name: 'forget-the-position-row',
    breaks: 'I3: rows are written whether or not the position is still where it was read',
    file: 'persister/sql/position.sql',
    edits: [{ find: 'WHERE NOT EXISTS (SELECT FROM moved)', replace: 'WHERE false' }],
    tests: APPLY,
  },
  {
    name: 'position-stands-still',
    breaks: 'I3: the position row is not moved with the rows, so they would be applied again',
    file: 'persister/sql/position.sql',
    edits: [
      {
        find: 'epoch = $8, seq = $9',
        replace: 'epoch = least(epoch, $8), seq = least(seq, $9)',
      },
    ],
    tests: APPLY,
  },
  {
    name: 'position-of-any-term',
    breaks: 'I2: a persister of an older term moves the position of a newer one',
    file: 'persister/sql/position.sql',
    edits: [{ find: 'term = $2', replace: 'term >= $2' }],
    tests: APPLY,
  },
  {
    name: 'drop-a-change-of-an-entry',
    breaks: 'I4: the last change of an entry does not reach PostgreSQL',
    file: 'persister/batch.ts',
    edits: [
      {
        find: '    for (const change of entry.changes) apply(now, change);\n',
        replace:
          '    for (const change of entry.changes.slice(0, Math.max(1, entry.changes.length - 1))) {\n      apply(now, change);\n    }\n',
      },
    ],
    tests: ['persister/batch.prop.test.ts', ...APPLY],
  },
  {
    name: 'ledger-without-what-a-partial-commit-frees',
    breaks: 'I4: the units that a partial commit frees are in no movement',
    file: 'persister/batch.ts',
    edits: [
      {
        find: '    if (change.retaken || step.freed === 0) return;\n',
        replace: '    if (change.retaken || step.freed === 0 || step.allocated > 0) return;\n',
      },
    ],
    tests: ['persister/batch.prop.test.ts', ...APPLY],
  },
  {
    name: 'rows-of-a-batch-that-was-given-up',
    breaks:
      'I4: the ledger of a batch that failed while it was gathered is written with the next one',
    file: 'persister/encode-batch.ts',
    edits: [{ find: '    this.#movements.clear();\n', replace: '' }],
    tests: ['persister/encode-batch.prop.test.ts'],
  },
  {
    name: 'settlements-of-a-batch-that-was-given-up',
    breaks: 'I4: what a batch settled that failed while it was encoded is booked with the next one',
    file: 'persister/encode-batch.ts',
    edits: [{ find: '    this.#settled.clear();\n', replace: '' }],
    tests: ['persister/encode-batch.prop.test.ts'],
  },
  {
    name: 'lines-of-another-reservation',
    breaks: 'I4: the lines of a settlement are booked on the one before it',
    file: 'persister/encode-batch.ts',
    edits: [
      {
        find: 'const settled = this.#settled.count;',
        replace: 'const settled = this.#settled.count - 1;',
      },
    ],
    tests: APPLY,
  },
  {
    name: 'first-row-for-all',
    breaks: 'I4: a column of the merge says in all rows what it says in the first',
    file: 'persister/column-arrays.ts',
    edits: [{ find: 'values.every((value)', replace: 'values.some((value)' }],
    tests: ['persister/column-arrays.int.test.ts'],
  },
  {
    name: 'text-that-ends-its-element',
    breaks: 'a quote in an order id ends the text of an array, and stops the persister',
    file: 'persister/column-arrays.ts',
    edits: [{ find: 'replace(/[\\\\"]/g', replace: 'replace(/[\\\\]/g' }],
    tests: ['persister/column-arrays.int.test.ts'],
  },
  {
    name: 'new-rows-before-the-merge',
    breaks: 'I4: who uses an id again has what was settled of the old one booked on the new one',
    file: 'persister/apply.ts',
    edits: [
      { find: '      ...encoded.changed,\n', replace: '' },
      {
        find: '      ...encoded.created,\n',
        replace: '      ...encoded.created,\n      ...encoded.changed,\n',
      },
    ],
    tests: ['persister/batch.prop.test.ts', ...APPLY],
  },
];
