--[[
Forgets the records of a generation whose idempotency window is over, a bounded piece a call. No other
script looks at a generation of that age any more; PostgreSQL has its reservations for good.

KEYS[1]  meta
ARGV[1]  context: I8 epoch, I8 seq seen, c8 unused
ARGV[2]  I2 generation, I4 first bucket, I4 buckets
Touches  hold:*, cart:*
Returns  >B 1, B reason when fenced; else >B 0, I8 epoch, I8 seq, I8 lane time, i8 offset,
         I4 hashes removed; -1 as all ones when the generation is too young
Variants drop: flags=allow-oom
]]
-- @include fence

local GENERATIONS_BACK = 2
local generation, first, count = struct.unpack('>I2I4I4', ARGV[2])
local removed = 4294967295
if today - generation > GENERATIONS_BACK then
  removed = 0
  for bucket = first, first + count - 1 do
    local at = generation .. ':' .. bucket
    removed = removed + redis.call('UNLINK', prefix .. 'hold:' .. at, prefix .. 'cart:' .. at)
  end
end
return struct.pack('>BI8I8I8i8I4', 0, epoch, seq, now, offset, removed)
