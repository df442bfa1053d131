/** Bugs in what becomes of holds that lived on while no engine ran for days. */
import type { Mutant } from './mutant.ts';

const LANE = 'engine/redis/days-away.int.test.ts';
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
    edits: [{ find: '    if may_live_unseen(generation) then\n', replace: '    if false then\n' }],
    tests: [LANE],
  },
  {
    name: 'forget-a-live-hold',
    breaks: 'I4, I6: records go whose units are still reserved',
    file: 'lua/commands/drop.lua',
    edits: [{ find: ' or may_live then due = 0 end', replace: ' then due = 0 end' }],
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
];
