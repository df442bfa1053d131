/** Bugs in what becomes of holds that lived on while no engine ran for days. */
import type { Mutant } from './mutant.ts';

const LANE = 'engine/redis/days-away.int.test.ts';
const RECOVERY = 'reconciler/recover.days-away.int.test.ts';
const HTTP = 'engine/testing/days-away.int.test.ts';

export const DAYS_AWAY_MUTANTS: readonly Mutant[] = [
  {
    name: 'expire-nothing-of-days-ago',
    breaks: 'I6: a deadline that leads to a record of three days ago leads nowhere',
    file: 'lua/commands/expire.lua',
    edits: [{ find: 'expire_hold(find_at(', replace: 'expire_hold(find_hold(' }],
    tests: [LANE],
  },
  {
    name: 'expire-a-record-read-twice',
    breaks:
      'I1: of two records of one id, what was done to the first is not seen when it is met again',
    file: 'lua/includes/records.lua',
    edits: [
      {
        find: '  while at and at.generation ~= generation do at = at.other end\n',
        replace: '  if at and at.generation ~= generation then at = nil end\n',
      },
    ],
    tests: [LANE],
  },
  {
    name: 'reserve-beside-a-hold-of-days-ago',
    breaks: 'I3: an id is given a second hold while its first one lives',
    file: 'lua/includes/reserve.lua',
    edits: [
      {
        find: '    if lives_unseen(days, bucket, id) then\n',
        replace: '    if false then\n',
      },
    ],
    tests: [LANE],
  },
  {
    name: 'forget-a-live-hold',
    breaks: 'I4, I6: records go whose units are still reserved',
    file: 'lua/commands/drop.lua',
    edits: [{ find: ' or (oldest and oldest <= due) then', replace: ' then' }],
    tests: [LANE],
  },
  {
    name: 'forget-no-day-but-the-last',
    breaks: 'the records of a day on which no engine ran stay in Redis for ever',
    file: 'lua/commands/drop.lua',
    edits: [{ find: 'dropped and dropped + 1 or today', replace: 'today' }],
    tests: [LANE],
  },
  {
    name: 'settle-a-hold-that-expires-elsewhere',
    breaks: 'I1: what PostgreSQL has as held is committed, and expires where its record stands',
    file: 'engine/reservations/settle.ts',
    edits: [
      {
        find: "      if (record?.state === 'held') done(undecided(id, NOT_SWEPT));\n      else if",
        replace: '      if',
      },
    ],
    tests: [HTTP],
  },
  {
    name: 'forget-who-was-put-off',
    breaks: 'I3: a hold that is put off seems as young as its deadline, and its key is given again',
    file: 'lua/commands/expire.lua',
    edits: [{ find: 'if put_off > 0 then\n', replace: 'if false then\n' }],
    tests: [LANE],
  },
  {
    name: 'copy-newer-rows-over-holds-of-days-ago',
    breaks: 'I1: a hold that ended in the lost tail stays in Redis, and ends again',
    file: 'reconciler/copy-back.ts',
    edits: [{ find: 'if (before.hasUnseenHolds)', replace: 'if (before.seq < 0)' }],
    tests: [RECOVERY],
  },
  {
    name: 'a-fresh-id-of-days-ago',
    breaks: 'I2: a hold is made where nobody looks, by an engine that was suspended',
    file: 'engine/redis/lane.ts',
    edits: [
      { find: 'operation: { ...operation, fresh: false }, level', replace: 'operation, level' },
    ],
    tests: [LANE],
  },
  {
    name: 'audit-nothing-but-the-newest',
    breaks: 'a live hold that Redis lost is not missed once its key is in use again',
    file: 'reconciler/audit/record-pass.ts',
    edits: [{ find: " || expected?.state === 'held';", replace: ';' }],
    tests: [HTTP],
  },
];
