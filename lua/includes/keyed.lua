-- Looks for the ids of reserves in runs that a client may have used before (Idempotency-Key). Nearly all
-- were not, and these stand in their run as if their id were fresh: a look in today's records and one in
-- yesterday's is all that it costs them more. Of the others the engine gets the record; or nothing, and then
-- sends them again by themselves: where a look at these two days is not enough, where the record is a cart's
-- or cannot be read, and where the same id stands in this batch twice.
--
-- Gives: look_up(pos, count) -> pos behind them, keys of their buckets, in order; and when some are left
--        out of their runs: `gone` by their place in the columns, and how many of each run
-- Wants: operations, answers, answer_count (submit.lua); REF_BYTES, ID_AT (runs.lua)

-- @include unseen

local LOOK_WORK, FORM, FORM_BYTES = 1 / 2, '>I2I2c' .. LIMIT.bucket_digits, 4 + LIMIT.bucket_digits

local function look_up(pos, count)
  local generation
  generation, pos = struct_unpack('>I2', operations, pos)
  local is_enough = generation == today and not unseen_since(today)
  local here = string.format('%shold:%d:', prefix, today)
  local before = string.format('%shold:%d:', prefix, today - 1)
  local sub, refs_max, id_bytes = string_sub, LIMIT.due_refs, REF_BYTES - ID_AT
  local keys, seen, gone, lost, gone_count = {}, {}, nil, nil, 0
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
    keys[i], seen[id] = key, true
    if bytes then
      if type(bytes) == 'table' or (string_byte(bytes) or 0) >= LIMIT.cart_head_flag then bytes = '' end
      gone, lost = gone or {}, lost or {}
      gone[place], lost[run + 1] = true, (lost[run + 1] or 0) + 1
      gone_count = gone_count + 1
      answers[answer_count + 1] = struct_pack('>I2I4', place, #bytes)
      answers[answer_count + 2] = bytes
      answer_count = answer_count + 2
    end
  end
  answers[head] = struct_pack('>I2', gone_count)
  work = work + LOOK_WORK * count
  return pos, keys, gone, lost
end
