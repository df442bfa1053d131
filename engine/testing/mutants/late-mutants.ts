/** Bugs in the scripts about what comes late, and what cannot be read. */
import type { Mutant } from './mutant.ts';

const FRESH = 'engine/redis/fresh.int.test.ts';
const RETAKE = 'engine/redis/retake.int.test.ts';
const UNREADABLE = 'engine/redis/unreadable.int.test.ts';

export const LATE_MUTANTS: readonly Mutant[] = [
  {
    name: 'believe-a-fresh-id-however-late',
    breaks: 'I3: a reserve that was given up overwrites what its client did under that id since',
    file: 'lua/commands/submit.lua',
    edits: [{ find: 'local is_fresh = is_within(fresh_ms)', replace: 'local is_fresh = true' }],
    tests: [FRESH],
  },
  {
    name: 'retake-however-late',
    breaks: 'I7: a commit that was given up takes the units behind a final no',
    file: 'lua/includes/settle.lua',
    edits: [
      {
        find: '  if now < sent_at or not is_within(time_left) then',
        replace: '  if time_left < 0 then',
      },
    ],
    tests: [RETAKE],
  },
  {
    name: 'retake-in-any-epoch',
    breaks: 'I7: lane time stood still while the lane was closed, so what is late looks young',
    file: 'lua/commands/submit.lua',
    edits: [
      {
        find: '  return open_epoch == epoch and now < sent_at + ms',
        replace: '  return now < sent_at + ms',
      },
    ],
    tests: [RETAKE],
  },
  {
    name: 'read-any-cell',
    breaks: 'one cell that was written over fails the whole batch',
    file: 'lua/includes/cells.lua',
    edits: [
      {
        find: '  local format = formats[head] or format_of(head)\n  if #bytes ~= lengths[head] then return end\n',
        replace: '  local format = formats[head] or format_of(head)\n',
      },
      {
        find: 'local function read_cell(bytes)\n  if #bytes < CELL_BYTES_MIN then return end\n',
        replace: 'local function read_cell(bytes)\n',
      },
    ],
    tests: [UNREADABLE, 'engine/redis/unreadable.prop.test.ts'],
  },
  {
    name: 'drop-the-deadline-of-what-cannot-be-given-back',
    breaks: 'I6: the units of a hold on a broken cell never come back',
    file: 'lua/commands/expire.lua',
    edits: [
      {
        find: '  add_due(put_off_to, at)\n',
        replace: '',
      },
    ],
    tests: [UNREADABLE],
  },
];
