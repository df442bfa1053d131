-- Which field of its bucket a record has: what the bucket's name does not say of its id. An id that an
-- engine made begins with tag, day, lane and block (domain/reservation-id.ts); where these are the
-- bucket's own, the field is the rest of it. Every other id stands there whole.
--
-- Gives: field_of(generation, bucket, id), fields_of(generation, bucket, ids)
-- Wants: fence.lua before it

local MADE = 1

-- Of many at once, for a third less than one by one.
local function fields_of(generation, bucket, ids)
  if bucket >= LIMIT.block_buckets then return ids end
  local lane = tonumber(string.match(prefix, '%d+'))
  local beginning = struct_pack('>BI2I2I3', MADE, generation, lane, bucket)
  local sub, fields = string_sub, {}
  for i = 1, #ids do
    local id = ids[i]
    fields[i] = sub(id, 1, LIMIT.place_bytes) == beginning and sub(id, LIMIT.place_bytes + 1) or id
  end
  return fields
end

local function field_of(generation, bucket, id) return fields_of(generation, bucket, { id })[1] end
