-- Looks for the ids of reserves in runs that a client may have used before (Idempotency-Key). Nearly all
-- were not, and these stand in their run as if their id were fresh: a look in today's records and one in
-- yesterday's is all that it costs them more. Of the others the engine gets the record; or nothing, and then
-- sends them again by themselves: where a look at these two days is not enough, where the record is a cart's
-- or cannot be read, and where the same id stands in this batch twice.
--
-- Gives: look_up(pos, count) -> pos behind them; keys of the buckets of those that stay, in order; and when
--        some are left out: `gone`, by their places in the columns and as a list of these, and how many of
--        each run; leave_out(gone, members, run_count), which takes them out of the columns
-- Wants: operations, answers, answer_count (submit.lua); REF_BYTES, ID_AT, FINGERPRINT_BYTES (runs.lua)

-- @include unseen

local LOOK_WORK, FORM, FORM_BYTES = 1 / 2, '>I2I2c' .. LIMIT.bucket_digits, 4 + LIMIT.bucket_digits

local function look_up(pos, count)
  local generation
  generation, pos = struct_unpack('>I2', operations, pos)
  local is_enough = generation == today and not unseen_since(today)
  local here = string.format('%shold:%d:', prefix, today)
  local before = string.format('%shold:%d:', prefix, today - 1)
  local sub, refs_max, id_bytes = string_sub, LIMIT.due_refs, REF_BYTES - ID_AT
  local keys, kept, seen, gone, lost = {}, 0, {}, nil, nil
  local head = answer_count + 1
  answer_count = head
  for i = 1, count do
    local place, run, bucket = struct_unpack(FORM, operations, pos)
    pos = pos + FORM_BYTES
    local id_at = place % refs_max * REF_BYTES + ID_AT
    local id = sub(ARGV[4 + math.floor(place / refs_max)], id_at + 1, id_at + id_bytes)
    local key, bytes = here .. bucket, ''
    if is_enough and not seen[id] then
      bytes = redis_pcall('HGET', key, id) or redis_pcall('HGET', before .. bucket, id)
    end
    seen[id] = true
    if not bytes then
      kept = kept + 1
      keys[kept] = key
    else
      if type(bytes) == 'table' or (string_byte(bytes) or 0) >= LIMIT.cart_head_flag then bytes = '' end
      gone, lost = gone or { places = {} }, lost or {}
      gone[place], lost[run + 1] = true, (lost[run + 1] or 0) + 1
      gone.places[#gone.places + 1] = place
      answers[answer_count + 1] = struct_pack('>I2I4', place, #bytes)
      answers[answer_count + 2] = bytes
      answer_count = answer_count + 2
    end
  end
  answers[head] = struct_pack('>I2', gone and #gone.places or 0)
  work = work + LOOK_WORK * count
  return pos, keys, gone, lost
end

-- Who stays, as stretches: the first place of each, and the place behind it.
local function stretches_beside(places, members)
  local stretches, from = {}, 0
  for i = 1, #places + 1 do
    local behind = places[i] or members
    if behind > from then
      stretches[#stretches + 1], stretches[#stretches + 2] = from, behind
    end
    from = behind + 1
  end
  return stretches
end

local function keep_references(stretches)
  local filled = 3
  for chunk = 4, #ARGV do
    local first, pieces = (chunk - 4) * LIMIT.due_refs, {}
    for i = 1, #stretches, 2 do
      local from = math.max(stretches[i] - first, 0)
      local behind = math.min(stretches[i + 1] - first, LIMIT.due_refs)
      if from < behind then
        pieces[#pieces + 1] = string_sub(ARGV[chunk], from * REF_BYTES + 1, behind * REF_BYTES)
      end
    end
    if #pieces > 0 then
      filled = filled + 1
      ARGV[filled] = table.concat(pieces)
    end
  end
  for chunk = #ARGV, filled + 1, -1 do ARGV[chunk] = nil end
end

local function leave_out(gone, members, run_count)
  local columns, pieces = ARGV[3], {}
  local stretches = stretches_beside(gone.places, members)
  local function keep(at, bytes)
    for i = 1, #stretches, 2 do
      pieces[#pieces + 1] = string_sub(columns, at + bytes * stretches[i], at + bytes * stretches[i + 1] - 1)
    end
    return at + bytes * members
  end
  local at = keep(1, FINGERPRINT_BYTES)
  if run_count > 1 then at = keep(at, 2) end
  -- Attributes are of any length.
  local from = at
  for place = 0, members - 1 do
    local high, low = string_byte(columns, at, at + 1)
    local behind = at + 2 + high * 256 + low
    if gone[place] then
      pieces[#pieces + 1] = string_sub(columns, from, at - 1)
      from = behind
    end
    at = behind
  end
  pieces[#pieces + 1] = string_sub(columns, from)
  ARGV[3] = table.concat(pieces)
  keep_references(stretches)
end
