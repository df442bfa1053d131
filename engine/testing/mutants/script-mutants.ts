/** Bugs in the scripts that decide (lua/). The runner builds the generated module anew for each. */
import type { Mutant } from './mutant.ts';

const LANE = 'engine/redis/lane.int.test.ts';
const BATCH = 'engine/redis/batch.int.test.ts';
const FENCE = 'engine/redis/fence.int.test.ts';
const SCRIPT_WORK = 'engine/redis/script-work.prop.test.ts';

/** What a reserve, and all that belongs to a hold, may do wrong. */
const RESERVATIONS: readonly Mutant[] = [
  {
    name: 'skip-idempotency-check',
    breaks: 'I3: a repeat of a reserve takes the units a second time',
    file: 'lua/includes/reserve.lua',
    edits: [
      {
        find: '    if at.bytes then\n      if string.sub(at.bytes, 2, 9) ~= fingerprint then\n        answer(OUTCOME.exists_with',
        replace:
          '    if at.bytes and count < 0 then\n      if string.sub(at.bytes, 2, 9) ~= fingerprint then\n        answer(OUTCOME.exists_with',
      },
    ],
    tests: [LANE],
  },
  {
    name: 'same-id-any-payload',
    breaks: 'I3: another cart under a used id is taken for a repeat',
    file: 'lua/includes/reserve.lua',
    edits: [
      {
        find: '      if string.sub(at.bytes, 2, 9) ~= fingerprint then',
        replace: '      if #fingerprint ~= 8 then',
      },
    ],
    tests: [LANE],
  },
  {
    name: 'write-before-validating',
    breaks: 'I1: a line is written before the next one of its cart was looked at',
    file: 'lua/includes/reserve.lua',
    edits: [
      {
        find: '  add_available(c, -units)\n  local n = takes.n + 1',
        replace:
          "  add_available(c, -units)\n  redis.call('HSET', c.stock.key, c.field, encode_cell(c))\n  local n = takes.n + 1",
      },
    ],
    tests: [LANE],
  },
  {
    name: 'refused-cart-keeps-its-units',
    breaks: 'I6: a cart that lacks one line keeps the other lines from its neighbours in the batch',
    file: 'lua/includes/reserve.lua',
    edits: [{ find: '    give_back(takes, 0)\n', replace: '' }],
    tests: [BATCH],
  },
  {
    name: 'short-line-keeps-its-units',
    breaks: 'I6: a line that is short is told less than there is, by what it had found itself',
    file: 'lua/includes/reserve.lua',
    edits: [{ find: '        give_back(takes, before)\n', replace: '' }],
    tests: [LANE],
  },
  {
    name: 'drop-one-item-of-a-batch',
    breaks: 'I2: of the records that go into one hash, the last is not written',
    file: 'lua/includes/holds.lua',
    edits: [
      {
        find: 'unpack(list, i, math.min(i + 3999, list[0])))',
        replace: 'unpack(list, i, math.max(i + 1, math.min(i + 3999, list[0] - 2))))',
      },
    ],
    tests: [LANE, BATCH],
  },
  {
    name: 'drop-one-deadline-of-a-batch',
    breaks: 'I6: of the holds that end in one second, the last never ends',
    file: 'lua/includes/holds.lua',
    edits: [
      {
        find: "table.concat(list.pieces, '', from, i - 1)",
        replace: "table.concat(list.pieces, '', from, math.max(from, i - 2))",
      },
    ],
    tests: [LANE],
  },
  {
    name: 'forget-big-carts-record',
    breaks: 'I2: the record of a big cart is cut off after its head',
    file: 'lua/includes/holds.lua',
    edits: [
      {
        find: '      group_write(group_of(carts, at.generation, at.bucket), at.field, bytes)\n',
        replace: '',
      },
    ],
    tests: [LANE],
  },
];

const PROTOCOL: readonly Mutant[] = [
  {
    name: 'xadd-last',
    breaks: 'I2: a script that dies half way has changed cells and is in no log',
    file: 'lua/includes/entry.lua',
    edits: [
      {
        find: "  redis.call('XADD', log, string.format('%s-%d', meta[3], seq + 1), 'e', table.concat(out))\n",
        replace: '  pieces.entry = table.concat(out)\n',
      },
      {
        find: '  seq = seq + 1\n',
        replace:
          "  redis.call('XADD', log, string.format('%s-%d', meta[3], seq + 1), 'e', pieces.entry)\n  seq = seq + 1\n",
      },
    ],
    tests: [BATCH],
  },
  {
    name: 'position-before-the-rest',
    breaks: "I2: meta's position moves before records and deadlines are written",
    file: 'lua/commands/submit.lua',
    edits: [
      {
        find: '  write_cells()\n  write_holds()\n  write_due()\n  finish_entry()\n',
        replace: '  finish_entry()\n  write_cells()\n  write_holds()\n  write_due()\n',
      },
    ],
    tests: [BATCH],
  },
  {
    name: 'stale-nonce',
    breaks: 'I8: entries name a predecessor that never was, so a fork looks like any other entry',
    file: 'lua/includes/entry.lua',
    edits: [{ find: "'nonce', new_nonce,", replace: "'nonce', nonce," }],
    tests: [BATCH],
  },
  {
    name: 'version-stands-still',
    breaks: 'I4: a changed cell keeps its version, so a stale copy cannot be told from it',
    file: 'lua/includes/cells.lua',
    edits: [{ find: '    c.v = c.v + 1\n', replace: '' }],
    tests: [BATCH],
  },
  {
    name: 'skip-the-fence-check',
    breaks: 'I1, I2: a closed lane goes on selling while recovery copies it',
    file: 'lua/includes/fence.lua',
    edits: [{ find: "if meta[1] ~= 'open' then", replace: "if meta[1] == '' then" }],
    tests: [FENCE],
  },
  {
    name: 'any-node-will-do',
    breaks: 'I2: a node that was restarted or promoted sells before recovery has seen it',
    file: 'lua/includes/fence.lua',
    edits: [{ find: "(meta[2] or '') .. '\\r'", replace: "''" }],
    tests: [FENCE],
  },
  {
    name: 'behind-its-caller',
    breaks: 'I2: a node that lost what this very engine has seen goes on',
    file: 'lua/includes/fence.lua',
    edits: [
      {
        find: 'or (epoch == seen_epoch and seq < seen_seq) then',
        replace: 'or (epoch == seen_epoch and seq < 0) then',
      },
    ],
    tests: [FENCE],
  },
  {
    name: 'answer-a-no-from-a-half-done-lane',
    breaks: 'I2: a script that writes nothing does not see that the one before died half way',
    file: 'lua/includes/fence.lua',
    edits: [
      {
        find: "'COUNT', '1')[1] then\n",
        replace: "'COUNT', '1')[2] then\n",
      },
    ],
    tests: [FENCE, BATCH],
  },
  {
    name: 'trim-before-commit',
    breaks: 'I2: entries go that PostgreSQL has not committed',
    file: 'lua/commands/trim.lua',
    edits: [{ find: ' and place <= have_seq', replace: '' }],
    tests: [FENCE],
  },
  {
    name: 'trim-one-too-many',
    breaks: 'I2, I8: the oldest entry that must stay goes with the others',
    file: 'lua/commands/trim.lua',
    edits: [
      {
        find: 'oldest + go + 1))',
        replace: 'oldest + go + 2))',
      },
    ],
    tests: [FENCE],
  },
  {
    name: 'tail-without-bound',
    breaks: 'one look at a long log holds Redis up for all of it',
    file: 'lua/commands/tail.lua',
    edits: [{ find: ', math.ceil((LIMIT.tail_bytes - bytes) / largest))', replace: ')' }],
    tests: [FENCE],
  },
  {
    name: 'reserve-without-bound',
    breaks: 'a batch of carts, or over SKUs in many warehouses, holds Redis up for all of them',
    file: 'lua/includes/cells.lua',
    edits: [{ find: 'work + units <= work_max', replace: 'work <= work_max' }],
    tests: [SCRIPT_WORK],
  },
  {
    name: 'expire-without-bound',
    breaks: 'a slice of expiry ends with a cart of any size',
    file: 'lua/commands/expire.lua',
    edits: [
      { find: '  if not has_room(work_to_settle() - 1) then return false end\n', replace: '' },
    ],
    tests: [SCRIPT_WORK],
  },
  {
    name: 'claim-under-a-lower-term',
    breaks: 'I8: a recovery that was overtaken closes the lane of the one that has won',
    file: 'lua/commands/claim.lua',
    edits: [
      {
        find: 'if meta[1] and tonumber(meta[1]) >= term then',
        replace: 'if meta[1] and tonumber(meta[1]) > term + 1 then',
      },
    ],
    tests: [FENCE],
  },
  {
    name: 'recover-any-node',
    breaks: 'I1: rows are copied to another node than the one that was claimed, and it opens',
    file: 'lua/includes/claimed.lua',
    edits: [
      {
        find: "  if meta[1] ~= ARGV[1] or meta[2] ~= 'closed' or meta[3] ~= ARGV[2]\n    or ",
        replace: "  if meta[1] ~= ARGV[1] or meta[2] ~= 'closed' or #ARGV[2] ~= 40\n    or nil == ",
      },
      {
        find: " ~= ARGV[2] then\n    return 'claim_lost'",
        replace: " then\n    return 'claim_lost'",
      },
    ],
    tests: [FENCE],
  },
  {
    name: 'copy-back-keeps-its-position',
    breaks: 'I2: a copy that died half way looks complete to the next recovery',
    file: 'lua/includes/claimed.lua',
    edits: [
      {
        find: "  redis.call('HSET', KEYS[1], 'epoch', '0', 'seq', '0', 'nonce', string.rep('\\0', 8))\n",
        replace: '',
      },
    ],
    tests: [FENCE],
  },
  {
    name: 'time-runs-while-closed',
    breaks: 'I2: holds expire in our outage, because lane time did not stand still',
    file: 'lua/commands/open.lua',
    edits: [
      {
        find: "local time = math.max(tonumber(redis.call('HGET', KEYS[1], 'time')), known)",
        replace: 'local time = wall',
      },
    ],
    tests: [FENCE],
  },
];

export const SCRIPT_MUTANTS: readonly Mutant[] = [...RESERVATIONS, ...PROTOCOL];
