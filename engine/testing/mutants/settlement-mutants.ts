/** Bugs of the scripts' settlements and expiry. */
import type { Mutant } from './mutant.ts';

const LANE = 'engine/redis/lane.int.test.ts';
const SETTLE = 'engine/redis/settle.int.test.ts';
const BATCH = 'engine/redis/batch.int.test.ts';
const SCRIPT_WORK = 'engine/redis/script-work.prop.test.ts';

export const SETTLEMENT_MUTANTS: readonly Mutant[] = [
  {
    name: 'settle-any-number-of-cells',
    breaks: 'carts that are settled together hold Redis up for all of them',
    file: 'lua/includes/settle.lua',
    edits: [
      {
        find: '  if not has_room(is_there and work_to_settle(named) or ',
        replace: '  if false and (is_there and work_to_settle(named) or ',
      },
    ],
    tests: [SCRIPT_WORK],
  },
  {
    name: 'field-without-its-day',
    breaks:
      'I3: a record in a day that its id does not name stands there as if it were of that day',
    file: 'lua/includes/fields.lua',
    edits: [
      {
        find: 'sub(id, 1, LIMIT.place_bytes) == beginning and ',
        replace: '',
      },
    ],
    tests: [SETTLE],
  },
  {
    name: 'release-twice',
    breaks: 'I7, I1: a hold that was released still has its units, and gives them back again',
    file: 'lua/includes/settle.lua',
    edits: [
      {
        find: '    save_hold(at, encode_tombstone(at.bytes, STATE.released))\n',
        replace: '    save_hold(at, at.bytes)\n',
      },
    ],
    tests: [SETTLE],
  },
  {
    name: 'lose-the-tail-of-a-partial-commit',
    breaks: 'I4: what a partial commit does not take is freed from the hold, and given to nobody',
    file: 'lua/includes/settle.lua',
    edits: [{ find: '    add_available(c, freed)\n', replace: '' }],
    tests: [SETTLE],
  },
  {
    name: 'partial-commit-repeated-with-other-lines',
    breaks: 'I7: a commit of other lines is answered as if it were the one that won',
    file: 'lua/includes/settle.lua',
    edits: [
      {
        find: '    if hold_number == number then return answer_record(OUTCOME.committed',
        replace: '    if hold_number >= 0 then return answer_record(OUTCOME.committed',
      },
    ],
    tests: [SETTLE],
  },
  {
    name: 'commit-more-than-is-held',
    breaks: 'I1: a commit names more units than the hold has, and gets them',
    file: 'lua/includes/settle.lua',
    edits: [{ find: '    if open > 0 then return false end\n', replace: '' }],
    tests: [SETTLE],
  },
  {
    name: 'forget-the-operation-key',
    breaks: 'I3: a repeat of a partial release or ship moves the units again',
    file: 'lua/includes/settle.lua',
    edits: [
      {
        find: 'operations = operations .. key end',
        replace: 'operations = hold_operations end',
      },
    ],
    tests: [SETTLE],
  },
  {
    name: 'settle-by-another-holds-units',
    breaks: 'I4: of holds of one cart, what one gave back is missing from the next in the batch',
    file: 'lua/includes/settle.lua',
    edits: [
      {
        find: '  for i = 1, #places do places[i].take, places[i].left = 0, places[i].units end\n',
        replace:
          '  for i = 1, #places do places[i].take, places[i].left = 0, math.max(places[i].left, 1) end\n',
      },
    ],
    tests: [SETTLE],
  },
  {
    name: 'take-a-released-hold-again',
    breaks: 'I7: a commit that brings its lines revives a hold that was released',
    file: 'lua/includes/settle.lua',
    edits: [
      {
        find: '  if state == STATE.released then return answer_record(OUTCOME.already_released, false, at.bytes) end\n  if hold_epoch',
        replace: '  if hold_epoch',
      },
    ],
    tests: [BATCH],
  },
  {
    name: 'take-a-lost-hold-without-units',
    breaks: 'I1: a commit behind an expired hold takes units that are sold',
    file: 'lua/includes/settle.lua',
    edits: [
      {
        find: '    if not c or c.a < line.units then\n',
        replace: '    if not c then\n',
      },
    ],
    tests: [BATCH],
  },
  {
    name: 'expire-a-committed-hold',
    breaks: 'I2, I1: the sweeper gives units back that are sold',
    file: 'lua/commands/expire.lua',
    edits: [
      {
        find: '  if state ~= STATE.held then\n',
        replace: '  if state ~= STATE.held and state ~= STATE.committed then\n',
      },
    ],
    tests: [LANE],
  },
  {
    name: 'expire-an-extended-hold',
    breaks: 'I2: a hold ends at its first deadline, though it was extended',
    file: 'lua/commands/expire.lua',
    edits: [{ find: '  if hold_number * 1000 > now then return true end\n', replace: '' }],
    tests: [LANE],
  },
  {
    name: 'expire-by-the-wrong-clock',
    breaks: 'I2: deadlines are compared with the clock of Redis instead of lane time',
    file: 'lua/includes/fence.lua',
    edits: [
      {
        find: ' + math.floor(clock[2] / 1000) + offset\n',
        replace: ' + math.floor(clock[2] / 1000)\n',
      },
    ],
    tests: [LANE],
  },
  {
    name: 'receive-twice',
    breaks: 'I3: a repeat of a stock operation moves the units again',
    file: 'lua/commands/stock.lua',
    edits: [
      {
        find: '    answer(OUTCOME.applied, true)\n',
        replace:
          "    apply_deltas(lines)\n    for i = 1, #lines do redis.call('HSET', lines[i].stock.key, lines[i].field, encode_cell(lines[i].cell)) end\n    answer(OUTCOME.applied, true)\n",
      },
    ],
    tests: [LANE],
  },
];

/** The order of a script's writes, the fence, and recovery's own scripts. */
