--[[
Decides a batch of operations on one lane, each for itself, all in one entry of the log.

KEYS[1]  meta
ARGV[1]  context: I8 epoch, I8 seq seen, c8 nonce for the entry, I4 greatest age of a hold, s
ARGV[2]  operations: I8 epoch that is open and I8 lane time at sending, as the engine knows them,
         u32 ms for which an id that it calls fresh is so; I2 n operations that stand in no run;
         I2 n cells of runs (includes/runs.lua); if there are any: u16 n reserves whose ids are to be
         looked for, and if there are any of these u16 generation that their references name, n x { u16
         place in the columns, u16 run, 7 digits of the bucket }; the cells, each
           u8+ key, u8+ field, u8+ name in the entry (u8+ SKU, u8+ field), and for each of its runs
           u32 units, u32 ttl s, u16 reserves, u16 1 when another follows, u8+ line as records have it;
         if there are any: u16+ for each run u16 cell, u32 units; u16 n reserves, u16 n, where their
         records stand: n x { u16 generation, u24 bucket, u16 reserves }, cut where an argument of
         references ends (of those that are looked for: the first bucket of such, for all in a row);
         and behind them I2 n, n x u8+ SKU; I2 n, n x u8+ field; and the operations, in groups of which
         the records stand in one bucket, each
           u16 generation (0: today's or yesterday's), u24 bucket, u16 n, n x u8+ id, and of each
           u8 kind (1 reserve, 2 commit, 3 release, 4 extend, 5 cancel, 6 ship, 7 inspect), u8 flags,
           u32 (reserve, extend: ttl s; commit: fingerprint of its lines), u16+ attributes, then
           reserve  c8 fingerprint, u16 n lines: u16 SKU, u32 units, u8 n preferences: u16 field
                    flags: 1 fresh (nobody can know the id yet), 2 partial, 4 split
           extend, inspect  nothing
           others   keyed: c8 operation key;
                    retake: I8 epoch of the hold, c8 fingerprint, u32 ms from sending for which it
                    may be done; adopt: u32+ record;
                    lines: u16 n: u16 SKU, u16 field, u32 units
                    flags: 1 lines, 2 adopt, 4 retake, 8 keyed
ARGV[3]  columns of the reserves in runs, in the order in which they came: n x c8 fingerprint, when
         there are several runs n x u16 run, n x u16+ attributes
ARGV[4]  references to their records, 128 at the most, and further ones in the arguments behind:
         n x { u16 generation, u24 bucket, u8 17, 17 bytes id }
Touches  log, deadlines, stock:*, hold:*, cart:*, due:*
Returns  >B 1, B reason when fenced; else >B 0, I8 epoch, I8 seq, I8 lane time, i8 offset,
         where there are runs: where ids were looked for u16 n, n x { u16 place in the columns, u32+
         record, or '': to be sent again by itself }, which are left out of their runs; u8 1 when all of
         their reserves hold, else u8 0 and for each run u16
         65535 when all of its reserves do, else u16 how many (the first ones), and u8 outcome and i64
         units to be had of the others; an answer an operation (includes/answers.lua); u16 work
         that was done (includes/cells.lua)
Variants submit: flags=; settle: flags=allow-oom
]]
-- @include fence
-- @include cells
-- @include holds
-- @include entry

local hold_age_max = struct.unpack('>I4', ARGV[1], context_at)
local operations = ARGV[2]

-- What was sent may come late: its engine gave it up, told its client so, and the client has acted on
-- another answer since. What is only right as long as nobody was told (a fresh id that need not be
-- looked up; units that are taken again) is done within its time from sending alone. Lane time is one
-- clock for all who ask, but stands still while the lane is closed: hence the epoch.
local open_epoch, sent_at, fresh_ms, count, run_cells, pos = struct.unpack('>I8I8I4I2I2', operations)

local function is_within(ms)
  return open_epoch == epoch and now < sent_at + ms
end

local is_fresh = is_within(fresh_ms)

local answers, answer_count = {}, 1
-- Whether there is nothing but runs; else records of reserves in them that those behind may ask for, by id.
local is_alone, held_in_runs = count == 0, {}

-- Lua makes a function anew each time that it comes to it, and searches all locals in use for each that
-- it takes from the function around it. So what only some batches need is made only for these, and
-- inside of a function of its own: what that has found, those in it need not search for.
if run_cells > 0 then
  local function make_runs()
-- @include runs
    return reserve_runs
  end
  pos = make_runs()(pos, run_cells)
end
if not is_alone then
  local function make_singles()
-- @include singles
    return decide_singles
  end
  make_singles()(pos, count)
end

if change_count > 0 then
  append_entry(1)
  write_cells()
  write_holds()
  write_due()
  finish_entry()
end
answers[1] = stamp()
answers[answer_count + 1] = struct_pack('>I2', math.min(65535, math.ceil(work)))
return table.concat(answers, '', 1, answer_count + 1)
