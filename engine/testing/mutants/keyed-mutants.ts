/** Bugs in how reserves under ids of clients' keys are looked for (lua/includes/keyed.lua, runs.lua). */
import type { Mutant } from './mutant.ts';

const TESTS = ['engine/redis/keyed.int.test.ts'];

export const KEYED_MUTANTS: readonly Mutant[] = [
  {
    name: 'key-of-yesterday-forgotten',
    breaks: 'I3: a key that was used before midnight is taken for a new one, and holds twice',
    file: 'lua/includes/keyed.lua',
    edits: [
      {
        find: "redis_pcall('HGET', key, id) or redis_pcall('HGET', before .. bucket, id)",
        replace: "redis_pcall('HGET', key, id)",
      },
    ],
    tests: TESTS,
  },
  {
    name: 'key-twice-in-a-batch',
    breaks: 'I3: two requests of one key that come together are two holds of one id',
    file: 'lua/includes/keyed.lua',
    edits: [{ find: 'if is_enough and not seen[id] then', replace: 'if is_enough then' }],
    tests: TESTS,
  },
  {
    name: 'keyed-day-as-the-engine-thinks',
    breaks: 'I6: a hold that an engine believes to be of yesterday has no reference that finds it',
    file: 'lua/includes/keyed.lua',
    edits: [{ find: 'generation == today and not', replace: 'not' }],
    tests: TESTS,
  },
  {
    name: 'keyed-days-unseen',
    breaks: 'I3: a key whose hold lives on in a day that is not looked at holds twice',
    file: 'lua/includes/keyed.lua',
    edits: [
      { find: 'generation == today and not unseen_since(today)', replace: 'generation == today' },
    ],
    tests: TESTS,
  },
  {
    name: 'known-key-holds-again',
    breaks: 'I1, I3: who is answered with the hold that he has gets units once more',
    file: 'lua/includes/runs.lua',
    edits: [
      {
        find: 'if gone then leave_out(gone, members, runs.count) end',
        replace: '',
      },
      {
        find: 'FINGERPRINT_BYTES * runs.holds + 1',
        replace: 'FINGERPRINT_BYTES * members + 1',
      },
      {
        find: 'if gone[each] then count = count - 1 end',
        replace: '',
      },
    ],
    tests: TESTS,
  },
  {
    name: 'known-key-counts-in-its-run',
    breaks: 'I2: a cell gives units for one who has his hold already',
    file: 'lua/includes/runs.lua',
    edits: [{ find: 'held = held - lost[count]', replace: 'held = held - 0 * lost[count]' }],
    tests: ['engine/redis/runs.prop.test.ts'],
  },
  {
    name: 'keyed-record-in-the-bucket-of-another',
    breaks: 'I3: beside one that is known, a hold is written where its id is not looked for',
    file: 'lua/includes/runs.lua',
    edits: [{ find: 'if is_keyed and not is_gone then own = own + 1 end', replace: 'own = 1' }],
    tests: ['engine/redis/runs.prop.test.ts'],
  },
  {
    name: 'keyed-run-not-told-to-those-behind',
    breaks: 'I3: a cart under a key that a run of the same batch has just held is a second hold',
    file: 'lua/includes/runs.lua',
    edits: [{ find: 'if not is_alone then held_in_runs', replace: 'if false then held_in_runs' }],
    tests: TESTS,
  },
  {
    name: 'repeat-told-as-created',
    breaks:
      'I3: of two who ask the same under one key at once, both are told that they made the hold',
    file: 'engine/redis/run-answers.ts',
    edits: [{ find: "first?.outcome === 'created' ?", replace: "first?.outcome === 'exists' ?" }],
    tests: TESTS,
  },
  {
    name: 'repeat-of-another-payload',
    breaks:
      'I3: who asks for something else under a key of the same batch is told that he holds it',
    file: 'engine/redis/run-codec.ts',
    edits: [
      {
        find: 'if (!first.operation.fingerprint.equals(fingerprint)) return false;',
        replace: 'if (first.operation.fingerprint === fingerprint) return false;',
      },
    ],
    tests: TESTS,
  },
  {
    name: 'late-keyed-run-refused',
    breaks: 'a reserve under a key that comes late is refused, and not looked up by itself',
    file: 'engine/redis/run-answers.ts',
    edits: [
      {
        find: "refusal.outcome === 'undecided' && !operation.fresh",
        replace: "refusal.outcome === 'undecided' && operation.apart",
      },
    ],
    tests: TESTS,
  },
  {
    name: 'known-key-holds-again-beside-the-refused',
    breaks: 'I1, I3: where not all hold, who has his hold already gets units once more',
    file: 'lua/includes/runs.lua',
    edits: [
      {
        find: 'if not is_gone and (left[r] or 1) > 0 then',
        replace: 'if (left[r] or 1) > 0 then',
      },
    ],
    tests: ['engine/redis/runs.prop.test.ts'],
  },
  {
    name: 'known-key-makes-all-single',
    breaks: 'one who asks again makes Redis twice as dear for all who come with him',
    file: 'lua/includes/runs.lua',
    edits: [
      {
        find: 'if not (runs.whole and runs.has_all_cells) then',
        replace: 'if gone or not (runs.whole and runs.has_all_cells) then',
      },
    ],
    tests: TESTS,
  },
  {
    name: 'cells-that-the-entry-lacks',
    breaks: 'I4: of a cell whose buyers all hold already, the entry gives the next one the number',
    file: 'lua/includes/runs.lua',
    edits: [
      {
        find: 'if not (runs.whole and runs.has_all_cells) then',
        replace: 'if not runs.whole then',
      },
    ],
    tests: TESTS,
  },
  {
    name: 'keyed-record-over-what-came-behind',
    breaks: 'I6: a hold that its own batch settles is written as held again, and expires',
    file: 'lua/includes/holds.lua',
    edits: [
      {
        find: '  for i = 1, alone_count, 3 do redis_call',
        replace: '  for i = 1, 0, 3 do redis_call',
      },
      {
        find: "  write_groups('cart:', carts)\n",
        replace:
          "  write_groups('cart:', carts)\n" +
          "  for i = 1, alone_count, 3 do redis_call('HSET', alone[i], alone[i + 1], alone[i + 2]) end\n",
      },
    ],
    tests: TESTS,
  },
  {
    name: 'look-up-costs-nothing',
    breaks: 'a script takes longer than its bound, because it does not count what it looks for',
    file: 'lua/includes/keyed.lua',
    edits: [{ find: 'work = work + LOOK_WORK * count', replace: 'work = work + 0 * LOOK_WORK' }],
    tests: TESTS,
  },
  {
    name: 'keyed-weighs-nothing',
    breaks: 'a batch of reserves with keys is more than one script may do',
    file: 'engine/redis/operation-weight.ts',
    edits: [{ find: 'const KEYED_IN_A_RUN = 1.5;', replace: 'const KEYED_IN_A_RUN = 0.25;' }],
    tests: ['engine/redis/operation-weight.test.ts'],
  },
  {
    name: 'stranger-with-a-key-that-looks-alike',
    breaks: 'I3: a buyer is told the hold of another, whose key begins with the same bits',
    file: 'engine/redis/run-codec.ts',
    edits: [
      {
        find: 'if (first?.operation.id.equals(operation.id)) return',
        replace: 'if (first !== undefined) return',
      },
    ],
    tests: TESTS,
  },
  {
    name: 'repeats-all-sent',
    breaks: 'a storm of retries is looked for one by one',
    file: 'engine/redis/run-codec.ts',
    edits: [
      {
        find: 'if (first?.operation.id.equals(operation.id)) return',
        replace: 'if (first?.operation.id.equals(operation.fingerprint)) return',
      },
    ],
    tests: TESTS,
  },
];
