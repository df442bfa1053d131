-- Decides runs of reserves that want the same: so many units of one cell, for as long, each under an id
-- that is fresh, or that one look finds nowhere (includes/keyed.lua). Nearly every request of a sale stands
-- in a run, so all that its reserves have in common
-- is decided, packed and answered once. What each has of its own stands in columns over all runs, in
-- the order in which the reserves came: when all of them hold, these go into the entry and the
-- deadlines as they came. Redis' Lua hashes every byte of every string that it makes, so the columns
-- are arguments of their own, and no long string is cut out of one.
--
-- Runs of one cell stand together: it is read, counted in locals and packed in one pass, and there is
-- no table for it, nor for its SKU. What the engine can say, it sends as it is used: the key, the name
-- in the entry, the line of the records, and what the entry says of each run but for its deadline.
--
-- Gives: reserve_runs(pos, cells) -> pos behind the runs
-- Wants: operations, is_fresh, is_alone, held_in_runs (submit.lua)

-- An id that is fresh was made for its bucket, so its field is the end of it. Every other is its own field,
-- in a bucket that it mostly has for itself.
local REF_BYTES, ID_AT, FIELD_AT, FINGERPRINT_BYTES, HEAD_BYTES = 23, 6, 6 + LIMIT.place_bytes, 8, 6
local RUN, RUNS, STATE_HELD = 11, 12, string.char(STATE.held)
local ALL_HOLD = '\255\255'
local by_ttl, forms, length_bytes = {}, {}, {}
-- Of the reserves whose ids were looked for: the keys of the buckets of those that stay, in order; who is
-- left out, and how many of each run (includes/keyed.lua), nil where none is.
local own_keys, gone, lost

local function make_keyed()
-- @include keyed
  return look_up, leave_out
end

local function refusal(key, bytes, a)
  local outcome = OUTCOME.insufficient
  if not is_fresh then
    outcome = OUTCOME.undecided
  elseif not bytes then
    -- A key of another type is no SKU that nobody knows.
    outcome = redis.pcall('HEXISTS', key, '') ~= 0 and OUTCOME.unknown_warehouse or OUTCOME.unknown_sku
  elseif not a then
    outcome = OUTCOME.unreadable
  end
  return struct_pack('>BI8', outcome, math.max(0, a or 0))
end

-- What holds that begin now for as long have in common.
local function terms_of(ttl)
  local terms = by_ttl[ttl]
  if not terms then
    local deadline = math.ceil((now + ttl * 1000) / 1000)
    terms = { deadline = deadline, packed = struct_pack('>I4', deadline),
      record = struct_pack('>I4I2I4BI2', math.floor(now / 1000), 1, deadline, 0, 1) }
    by_ttl[ttl] = terms
  end
  return terms
end

-- What a run wants, whatever its cell; the runs of a batch have few different forms.
local function form_of(packed)
  local units, ttl, members, more = struct_unpack('>I4I4I2I2', packed)
  local form = { units = units, members = members, all = units * members, more = more > 0,
    terms = terms_of(ttl) }
  forms[packed] = form
  return form
end

local function length_byte(n)
  length_bytes[n] = string.char(n)
  return length_bytes[n]
end

-- Takes the units of the runs. Of each run: the line of its records; how many hold (its first ones)
-- unless all do, and why the others do not; its terms where they are not those of the first that holds.
-- `whole`: all of all runs hold. Operations that follow find the cells in tables.
local function decide_runs(pos, cells)
  local held_of, other_terms, lines, indexes, refusals = {}, {}, {}, {}, {}
  local count, holds, terms = 0, 0, nil
  -- How the last cell was packed: most are packed alike, and then its head need not be looked up.
  local head, length, format
  for number = 0, cells - 1 do
    local key, field, name, packed, line
    key, field, name, packed, line, pos = struct_unpack('>Bc0Bc0Bc0c12Bc0', operations, pos)
    local bytes, first, a, r, l, v = redis_pcall('HGET', key, field), nil, nil, nil, nil, nil
    if bytes then
      if #bytes == length then first, a, r, l, v = struct_unpack(format, bytes) end
      if not first or first ~= head then
        a, r, l, v = read_cell(bytes)
        head = a and string_byte(bytes)
        length, format = a and not wide[head] and lengths[head], formats[head]
      end
    end
    local before = a
    while true do
      local form = forms[packed] or form_of(packed)
      local held, wanted = form.members, form.all
      count = count + 1
      lines[count] = line
      if lost and lost[count] then
        held = held - lost[count]
        wanted = form.units * held
      end
      if not a or a < wanted or not is_fresh then
        held = a and is_fresh and math.max(0, math.floor(a / form.units)) or 0
        held_of[count] = held
      end
      if held > 0 then
        local units = form.units * held
        a, r, holds = a - units, r + units, holds + held
        if form.terms ~= terms then
          if terms then other_terms[count] = form.terms else terms = form.terms end
        end
      end
      if held_of[count] then refusals[count] = refusal(key, bytes, a) end
      if not form.more then break end
      packed, line, pos = struct_unpack('>c12Bc0', operations, pos)
    end
    if a ~= before then
      -- What the entry calls the cell: the number that the engine gave it, unless one before is not in it.
      if touched_count < number then indexes[number] = touched_count end
      if is_alone then
        local n, at = touched_count + 1, piece_count
        local after = pack_cell(a, r, l, v + 1)
        touched_keys[n], touched_fields[n], touched_bytes[n] = key, field, after
        local length_of = length_bytes[#after] or length_byte(#after)
        pieces[at + 1], pieces[at + 2], pieces[at + 3] = name, length_of, after
        touched_count, piece_count, placed_count = n, at + 3, n
      else
        touch(make_cell(stock_of((struct_unpack('>Bc0', name))), field, a, r, l, v))
      end
    end
  end
  -- What the entry says of the cells is as the engine wrote it only if it has all of them.
  return { count = count, holds = holds, lines = lines, held = held_of, refusals = refusals,
    has_all_cells = touched_count == cells, whole = next(refusals) == nil, indexes = indexes,
    terms = terms, other_terms = other_terms, shared = next(other_terms) == nil and terms }, pos
end

local function answer_runs(runs)
  local n = answer_count + 1
  answers[n] = runs.whole and '\1' or '\0'
  if not runs.whole then
    for r = 1, runs.count do
      answers[n + 1] = runs.held[r] and struct_pack('>I2', runs.held[r]) .. runs.refusals[r] or ALL_HOLD
      n = n + 1
    end
  end
  answer_count = n
end

-- The run of a reserve: a u16 at this place of the columns, where there are several.
local function run_at(columns, at)
  local high, low = string_byte(columns, at, at + 1)
  return high * 256 + low + 1
end

local function await_each(runs, columns, run_column)
  local terms, other_terms = runs.terms, runs.other_terms
  for chunk = 4, #ARGV do
    local refs = ARGV[chunk]
    for at = 1, #refs, REF_BYTES do
      local own = other_terms[run_at(columns, run_column)] or terms
      add_due_piece(due_of(own.deadline), string_sub(refs, at, at + REF_BYTES - 1), 1)
      run_column = run_column + 2
    end
  end
end

local function await_all(deadline)
  local list = due_of(deadline)
  for chunk = 4, #ARGV do add_due_piece(list, ARGV[chunk], #ARGV[chunk] / REF_BYTES) end
end

-- What the entry says of the runs: u32 deadline, u16 cell, u32 units; `heads` has the last two. One gsub
-- puts the deadline before each, for half of what packing each takes ('%' means something to it).
local function add_heads(runs, heads)
  local n, shared = piece_count, runs.shared
  if runs.count == 1 then
    n = n + 1
    pieces[n] = shared.packed .. heads
  elseif shared then
    n = n + 1
    pieces[n] = string.gsub(heads, '......', string.gsub(shared.packed, '%%', '%%%%') .. '%0')
  else
    for r = 1, runs.count do
      pieces[n + 1], pieces[n + 2] = (runs.other_terms[r] or runs.terms).packed,
        string_sub(heads, HEAD_BYTES * (r - 1) + 1, HEAD_BYTES * r)
      n = n + 2
    end
  end
  piece_count = n
end

-- One change for all: the runs, and the columns as they came.
local function log_whole(runs, heads, columns)
  local count = runs.count
  add_change(count == 1 and struct_pack('>BI2', RUN, runs.holds)
    or struct_pack('>BI2I2', RUNS, runs.holds, count))
  add_heads(runs, heads)
  local n = piece_count - 3
  for chunk = 4, #ARGV do pieces[n + chunk] = ARGV[chunk] end
  piece_count = n + #ARGV + 1
  pieces[piece_count] = columns
end

-- A record in a bucket that it mostly has for itself. Who comes behind the runs with the same id finds it.
local function hold_alone(key, id, bytes)
  add_record(key, id, bytes)
  if not is_alone then held_in_runs[id] = { key = key, bytes = bytes } end
end

local function hold_whole(runs, pos, spans, columns, run_column)
  local sub, byte, held = string_sub, string_byte, STATE_HELD
  local lines, other_terms = runs.lines, runs.other_terms
  local record, shared, is_one = runs.terms.record, runs.shared, runs.count == 1
  local tail = is_one and record .. lines[1]
  local chunk, at, mark, own, place = 4, FIELD_AT + 1, 1, 0, 0
  local refs = ARGV[chunk]
  for _ = 1, spans do
    local generation, bucket, count
    generation, bucket, count, pos = struct_unpack('>I2I3I2', operations, pos)
    if gone then
      local behind = place + count
      for each = place, behind - 1 do
        if gone[each] then count = count - 1 end
      end
      place = behind
    end
    if count > 0 and at > #refs then
      chunk, at = chunk + 1, FIELD_AT + 1
      refs = ARGV[chunk]
    end
    if bucket >= LIMIT.block_buckets then
      for i = own + 1, own + count do
        local r = is_one and 1 or run_at(columns, run_column)
        hold_alone(own_keys[i], sub(refs, at - LIMIT.place_bytes, at + 8), held .. sub(columns, mark, mark + 7)
          .. (shared and record or (other_terms[r] or runs.terms).record) .. lines[r])
        at, mark, run_column = at + REF_BYTES, mark + 8, run_column + 2
      end
      own = own + count
    elseif is_one then
      local list = group_of(new_holds, generation, bucket)
      local n = list[0]
      for i = n + 1, n + 2 * count, 2 do
        list[i] = sub(refs, at, at + 8)
        list[i + 1] = held .. sub(columns, mark, mark + 7) .. tail
        at, mark = at + REF_BYTES, mark + 8
      end
      list[0] = n + 2 * count
    else
      local list = group_of(new_holds, generation, bucket)
      local n = list[0]
      -- A span is within one argument, so this table is small.
      local run_of, k = { byte(columns, run_column, run_column + 2 * count - 1) }, 1
      for i = n + 1, n + 2 * count, 2 do
        local r = run_of[k] * 256 + run_of[k + 1] + 1
        list[i] = sub(refs, at, at + 8)
        list[i + 1] = held .. sub(columns, mark, mark + 7)
          .. (shared and record or (other_terms[r] or runs.terms).record) .. lines[r]
        at, mark, k = at + REF_BYTES, mark + 8, k + 2
      end
      run_column = run_column + 2 * count
      list[0] = n + 2 * count
    end
  end
  return pos
end

-- Where not all hold: each that does is a change of its own.
local function hold_some(runs, heads, pos, spans, columns, run_column, attributes)
  local left, chunk, at, mark, place, own = runs.held, 4, 1, 1, 0, 0
  for _ = 1, spans do
    local generation, bucket, count
    generation, bucket, count, pos = struct_unpack('>I2I3I2', operations, pos)
    local is_keyed = bucket >= LIMIT.block_buckets
    if at > #ARGV[chunk] then chunk, at = chunk + 1, 1 end
    for _ = 1, count do
      local is_gone = gone and gone[place]
      if is_keyed and not is_gone then own = own + 1 end
      local r = runs.count == 1 and 1 or run_at(columns, run_column)
      local high, low = string_byte(columns, attributes, attributes + 1)
      local behind = attributes + 2 + high * 256 + low
      if not is_gone and (left[r] or 1) > 0 then
        left[r] = left[r] and left[r] - 1
        local terms = runs.other_terms[r] or runs.terms
        local cell, units = struct_unpack('>I2I4', heads, HEAD_BYTES * (r - 1) + 1)
        local ref = string_sub(ARGV[chunk], at, at + REF_BYTES - 1)
        local fingerprint = string_sub(columns, mark, mark + FINGERPRINT_BYTES - 1)
        local id = string_sub(ref, ID_AT + 1)
        add_change(struct_pack('>BBc0I2c8c4', 1, #id, id, generation, fingerprint, terms.packed)
          .. string_sub(columns, attributes, behind - 1)
          .. struct_pack('>I2I2I4BI2I4', 1, 0, units, 1, runs.indexes[cell] or cell, units))
        local record = STATE_HELD .. fingerprint .. terms.record .. runs.lines[r]
        if is_keyed then
          hold_alone(own_keys[own], id, record)
        else
          group_write(group_of(new_holds, generation, bucket), string_sub(ref, FIELD_AT + 1), record)
        end
        add_due_piece(due_of(terms.deadline), ref, 1)
      end
      at, mark, run_column, attributes = at + REF_BYTES, mark + FINGERPRINT_BYTES, run_column + 2, behind
      place = place + 1
    end
  end
  return pos
end

local function reserve_runs(pos, cells)
  local keyed, look_up, leave_out, runs, heads, members, spans
  keyed, pos = struct_unpack('>I2', operations, pos)
  if keyed > 0 then
    look_up, leave_out = make_keyed()
    pos, own_keys, gone, lost = look_up(pos, keyed)
  end
  runs, pos = decide_runs(pos, cells)
  heads, members, spans, pos = struct_unpack('>I2c0I2I2', operations, pos)
  -- Half a reserve of its own, and what is left of reading a cell by itself.
  work, is_begun = work + (members + cells) / 2, true
  answer_runs(runs)
  if runs.holds == 0 then return pos + 7 * spans end
  if not (runs.whole and runs.has_all_cells) then
    local run_column = FINGERPRINT_BYTES * members + 1
    local attributes = run_column + (runs.count > 1 and 2 * members or 0)
    return hold_some(runs, heads, pos, spans, ARGV[3], run_column, attributes)
  end
  if gone then leave_out(gone, members, runs.count) end
  local columns, run_column = ARGV[3], FINGERPRINT_BYTES * runs.holds + 1
  log_whole(runs, heads, columns)
  if runs.shared then await_all(runs.shared.deadline) else await_each(runs, columns, run_column) end
  return hold_whole(runs, pos, spans, columns, run_column)
end
