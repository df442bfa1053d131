-- Decides operations that stand in no run, each for itself; changes only Lua's memory.
--
-- Gives: decide_singles(pos, count)
-- Wants: operations, is_fresh, is_within(ms), hold_age_max, answers, answer_count, held_in_runs (submit.lua)

-- @include stocks
-- @include records
-- @include answers

local skus, fields

local function read_names(pos)
  local names, count = {}, nil
  count, pos = struct_unpack('>I2', operations, pos)
  for i = 1, count do names[i], pos = struct_unpack('>Bc0', operations, pos) end
  return names, pos
end

local function make_reserve()
-- @include reserve
  return reserve
end

local function make_settle()
-- @include settle
  return settle, extend, inspect
end

local reserve, settle, extend, inspect

-- Gives the position behind it.
local function decide(generation, bucket, id, pos)
  local kind, flags, number, attributes
  kind, flags, number, attributes, pos = struct_unpack('>BBI4I2c0', operations, pos)
  if kind == KIND.reserve then
    reserve = reserve or make_reserve()
    return reserve(flags, number, attributes, generation, bucket, id, pos)
  end
  if not settle then settle, extend, inspect = make_settle() end
  local at = find_hold(generation, bucket, id)
  if kind ~= KIND.extend and kind ~= KIND.inspect then
    return settle(kind, flags, number, attributes, at, pos)
  end
  if not has_room_to_read(at.bytes) then
    answer_not_yet()
    return pos
  end
  work, is_begun = work + (kind == KIND.extend and 2 or 1), true
  if kind == KIND.extend then extend(number, at) else inspect(at) end
  return pos
end

local function decide_singles(pos, count)
  for id, held in pairs(held_in_runs) do
    found_at(today, tonumber(string_sub(held.key, -LIMIT.bucket_digits)), id, held.bytes)
  end
  skus, pos = read_names(pos)
  fields, pos = read_names(pos)
  while count > 0 do
    local generation, bucket, n
    generation, bucket, n, pos = struct_unpack('>I2I3I2', operations, pos)
    local ids = { struct_unpack('>' .. string.rep('Bc0', n), operations, pos) }
    pos, ids[n + 1] = ids[n + 1], nil
    if n > 1 then read_ahead(generation, bucket, ids) end
    for i = 1, n do pos = decide(generation, bucket, ids[i], pos) end
    count = count - n
  end
end
