-- Decides runs of reserves that want the same: so many units of one cell, for as long, each under a
-- fresh id. Nearly every request of a sale stands in a run, so all that its reserves have in common
-- is decided, packed and answered once. What each has of its own stands in columns over all runs, in
-- the order in which the reserves came: when all of them hold, these go into the entry and the
-- deadlines as they came. Redis' Lua hashes every byte of every string that it makes, so the columns
-- are arguments of their own, and no long string is cut out of one.
--
-- Gives: reserve_runs(pos, count) -> pos behind the runs
-- Wants: operations, is_fresh (submit.lua)

local REF_BYTES, ID_AT, FINGERPRINT_BYTES = 23, 6, 8
local RUN, RUNS, STATE_HELD = 11, 12, string.char(STATE.held)
local by_ttl, packed_counts = {}, {}

local function refuse_run(c, s)
  local outcome = OUTCOME.insufficient
  if not is_fresh then
    outcome = OUTCOME.undecided
  elseif not c then
    outcome = is_known(s) and OUTCOME.unknown_warehouse or OUTCOME.unknown_sku
  elseif is_unreadable(c) then
    outcome = OUTCOME.unreadable
  end
  answer_count = answer_count + 1
  answers[answer_count] = struct_pack('>BI8', outcome, c and math.max(0, c.a) or 0)
end

-- What holds that begin now for as long have in common.
local function terms_of(ttl)
  local terms = by_ttl[ttl]
  if not terms then
    local deadline = math.ceil((now + ttl * 1000) / 1000)
    terms = { deadline = deadline,
      record = struct_pack('>I4I2I4BI2', math.floor(now / 1000), 1, deadline, 0, 1) }
    by_ttl[ttl] = terms
  end
  return terms
end

local function pack_count(n)
  packed_counts[n] = struct_pack('>I2', n)
  return packed_counts[n]
end

-- Takes the units of the runs and answers them. Of each run: how many hold (its first ones), what the
-- entry says of it, and the tail of its records. `whole`: all of all runs hold, under one `deadline`
-- unless that is false.
local function decide_runs(pos, count)
  local held_of, heads, tails, whole, holds, shared = {}, {}, {}, true, 0, nil
  for r = 1, count do
    local units, ttl, members, sku, field, line
    units, ttl, members, sku, field, line, pos = struct_unpack('>I4I4I2Bc0Bc0Bc0', operations, pos)
    local s = stocks[sku] or stock_of(sku)
    local c = s.cells[field] or cell_of(s, field)
    local held = 0
    if c and is_fresh then
      held = c.a >= units * members and members or math.max(0, math.floor(c.a / units))
    end
    answer_count = answer_count + 1
    answers[answer_count] = packed_counts[held] or pack_count(held)
    held_of[r] = held
    if held > 0 then
      local terms = by_ttl[ttl] or terms_of(ttl)
      local deadline = terms.deadline
      -- Of no SKU the sum over its cells is known yet.
      c.a, c.r = c.a - units * held, c.r + units * held
      heads[r], tails[r] = struct_pack('>I4I2I4', deadline, touch(c), units), terms.record .. line
      if shared ~= deadline then shared = shared == nil and deadline end
      holds = holds + held
    end
    if held < members then
      whole = false
      refuse_run(c, s)
    end
  end
  return { count = count, held = held_of, heads = heads, tails = tails, whole = whole, holds = holds,
    deadline = shared }, pos
end

-- The run of a reserve: a u16 at this place of the columns, where there are several.
local function run_at(columns, at)
  local high, low = string_byte(columns, at, at + 1)
  return high * 256 + low + 1
end

local function await_each(heads, columns, run_column)
  for chunk = 4, #ARGV do
    local refs = ARGV[chunk]
    for at = 1, #refs, REF_BYTES do
      local deadline = struct_unpack('>I4', heads[run_at(columns, run_column)])
      add_due_piece(due_of(deadline), string_sub(refs, at, at + REF_BYTES - 1), 1)
      run_column = run_column + 2
    end
  end
end

local function await_all(deadline)
  local list = due_of(deadline)
  for chunk = 4, #ARGV do add_due_piece(list, ARGV[chunk], #ARGV[chunk] / REF_BYTES) end
end

-- One change for all: the runs, and the columns as they came.
local function log_whole(runs, columns)
  local n, count, heads = piece_count + 1, runs.count, runs.heads
  pieces[n] = count == 1 and struct_pack('>BI2', RUN, runs.holds)
    or struct_pack('>BI2I2', RUNS, runs.holds, count)
  for r = 1, count do pieces[n + r] = heads[r] end
  n = n + count - 3
  for chunk = 4, #ARGV do pieces[n + chunk] = ARGV[chunk] end
  piece_count, change_count = n + #ARGV + 1, change_count + 1
  pieces[piece_count] = columns
end

local function hold_whole(runs, pos, spans, columns, run_column)
  local sub, byte, held, tails = string_sub, string_byte, STATE_HELD, runs.tails
  local tail = runs.count == 1 and tails[1]
  local chunk, at, mark = 4, ID_AT + 1, 1
  local refs = ARGV[chunk]
  for _ = 1, spans do
    local generation, bucket, count
    generation, bucket, count, pos = struct_unpack('>I2I3I2', operations, pos)
    local list = group_of(new_holds, generation, bucket)
    local n = list[0]
    if at > #refs then
      chunk, at = chunk + 1, ID_AT + 1
      refs = ARGV[chunk]
    end
    for i = n + 1, n + 2 * count, 2 do
      local record_tail = tail
      if not tail then
        local high, low = byte(columns, run_column, run_column + 1)
        record_tail, run_column = tails[high * 256 + low + 1], run_column + 2
      end
      list[i] = sub(refs, at, at + 16)
      list[i + 1] = held .. sub(columns, mark, mark + 7) .. record_tail
      at, mark = at + REF_BYTES, mark + 8
    end
    list[0] = n + 2 * count
  end
  return pos
end

-- Where not all hold: each that does is a change of its own.
local function hold_some(runs, pos, spans, columns, run_column, attributes)
  local left, chunk, at, mark = runs.held, 4, 1, 1
  for _ = 1, spans do
    local generation, bucket, count
    generation, bucket, count, pos = struct_unpack('>I2I3I2', operations, pos)
    local list = group_of(new_holds, generation, bucket)
    if at > #ARGV[chunk] then chunk, at = chunk + 1, 1 end
    for _ = 1, count do
      local r = runs.count == 1 and 1 or run_at(columns, run_column)
      local high, low = string_byte(columns, attributes, attributes + 1)
      local behind = attributes + 2 + high * 256 + low
      if left[r] > 0 then
        left[r] = left[r] - 1
        local deadline, cell, units = struct_unpack('>I4I2I4', runs.heads[r])
        local ref = string_sub(ARGV[chunk], at, at + REF_BYTES - 1)
        local fingerprint = string_sub(columns, mark, mark + FINGERPRINT_BYTES - 1)
        local id = string_sub(ref, ID_AT + 1)
        add_change(struct_pack('>BBc0I2c8I4', 1, #id, id, generation, fingerprint, deadline)
          .. string_sub(columns, attributes, behind - 1)
          .. struct_pack('>I2I2I4BI2I4', 1, 0, units, 1, cell, units))
        group_write(list, id, STATE_HELD .. fingerprint .. runs.tails[r])
        add_due_piece(due_of(deadline), ref, 1)
      end
      at, mark, run_column, attributes = at + REF_BYTES, mark + FINGERPRINT_BYTES, run_column + 2, behind
    end
  end
  return pos
end

local function reserve_runs(pos, count)
  local runs, members, spans
  runs, pos = decide_runs(pos, count)
  members, spans, pos = struct_unpack('>I2I2', operations, pos)
  if runs.holds == 0 then return pos + 7 * spans end
  local columns, run_column = ARGV[3], FINGERPRINT_BYTES * members + 1
  if not runs.whole then
    local attributes = run_column + (count > 1 and 2 * members or 0)
    return hold_some(runs, pos, spans, columns, run_column, attributes)
  end
  log_whole(runs, columns)
  if runs.deadline then await_all(runs.deadline) else await_each(runs.heads, columns, run_column) end
  return hold_whole(runs, pos, spans, columns, run_column)
end
