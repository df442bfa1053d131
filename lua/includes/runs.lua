-- Decides a run of reserves that want the same: so many units of one cell, for as long, each under a
-- fresh id. Nearly every request of a sale stands in a run, so all that its reserves have in common
-- is decided, packed and answered once, and what each has of its own stands in columns, which go
-- into the entry and the deadlines as they came.
--
-- Gives: reserve_run(pos) -> pos behind the run
-- Wants: operations, skus, fields, is_fresh (submit.lua)

local REF_BYTES, ID_AT, ID_BYTES, FINGERPRINT_BYTES = 23, 6, 17, 8
local RUN, STATE_HELD = 11, string.char(STATE.held)
local by_ttl = {}

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
  answers[answer_count] = struct.pack('>BI8', outcome, c and math.max(0, c.a) or 0)
end

-- The records of the first `count` reserves, a piece for each bucket: u24 bucket, u16 reserves.
local function hold_run(generation, pos, count, refs, fingerprints, tail)
  local done = 0
  while done < count do
    local bucket, piece, behind = struct.unpack('>I3I2', operations, pos)
    pos = behind
    local list = group_of(new_holds, generation, bucket)
    local n, last = list[0], math.min(done + piece, count) - 1
    for i = done, last do
      local id, mark = refs + i * REF_BYTES + ID_AT, fingerprints + i * FINGERPRINT_BYTES
      list[n + 1] = string.sub(operations, id, id + ID_BYTES - 1)
      list[n + 2] = STATE_HELD .. string.sub(operations, mark, mark + FINGERPRINT_BYTES - 1) .. tail
      n = n + 2
    end
    list[0], done = n, last + 1
  end
end

-- Behind the attributes of the first `count` reserves.
local function skip_attributes(pos, count)
  for _ = 1, count do
    local high, low = string.byte(operations, pos, pos + 1)
    pos = pos + 2 + high * 256 + low
  end
  return pos
end

local function log_run(count, refs, fingerprints, attributes, attributes_end, head)
  local n = piece_count
  pieces[n + 1] = head
  pieces[n + 2] = string.sub(operations, refs, refs + count * REF_BYTES - 1)
  pieces[n + 3] = string.sub(operations, fingerprints, fingerprints + count * FINGERPRINT_BYTES - 1)
  pieces[n + 4] = string.sub(operations, attributes, attributes_end - 1)
  piece_count, change_count = n + 4, change_count + 1
end

local function await_run(second, refs, count)
  local list = due_of(second)
  for first = 0, count - 1, LIMIT.due_refs do
    local n = math.min(LIMIT.due_refs, count - first)
    local from = refs + first * REF_BYTES
    add_due_piece(list, string.sub(operations, from, from + n * REF_BYTES - 1), n)
  end
end

-- What holds that begin now for as long have in common.
local function terms_of(ttl)
  local terms = by_ttl[ttl]
  if not terms then
    local deadline = math.ceil((now + ttl * 1000) / 1000)
    terms = { deadline = deadline,
      record = struct.pack('>I4I2I4BI2', math.floor(now / 1000), 1, deadline, 0, 1) }
    by_ttl[ttl] = terms
  end
  return terms
end

local function reserve_run(pos)
  local sku, field, units, ttl, generation, count, buckets, attributes_bytes, line
  sku, field, units, ttl, generation, count, buckets, attributes_bytes, line, pos =
    struct.unpack('>I2I2I4I4I2I2I2I4Bc0', operations, pos)
  local refs = pos + buckets * 5
  local fingerprints = refs + count * REF_BYTES
  local attributes = fingerprints + count * FINGERPRINT_BYTES
  local behind = attributes + attributes_bytes
  local s = stock_of(skus[sku + 1])
  local c = cell_of(s, fields[field + 1])
  local held = c and is_fresh and math.min(count, math.max(0, math.floor(c.a / units))) or 0
  answer_count = answer_count + 1
  answers[answer_count] = struct.pack('>I2', held)
  if held > 0 then
    add_available(c, -units * held)
    c.r = c.r + units * held
    local terms = terms_of(ttl)
    local attributes_end = held == count and behind or skip_attributes(attributes, held)
    log_run(held, refs, fingerprints, attributes, attributes_end,
      struct.pack('>BI2I4I2I4', RUN, held, terms.deadline, touch(c), units))
    hold_run(generation, pos, held, refs, fingerprints, terms.record .. line)
    await_run(terms.deadline, refs, held)
  end
  if held < count then refuse_run(c, s) end
  return behind
end
