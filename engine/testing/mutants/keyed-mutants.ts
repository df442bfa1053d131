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
        find: 'if not (gone and gone[place]) and (left[r] or 1) > 0 then',
        replace: 'if (left[r] or 1) > 0 then',
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
    edits: [{ find: 'if is_keyed then own = own + 1 end', replace: 'own = 1' }],
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
];
