--[[
Forgets the records of a generation whose idempotency window is over, a bounded piece a call. No other
script looks at a generation of that age any more, unless holds may live in it, because no sweeper ran for
days (includes/unseen.lua): such a one waits until they have expired. PostgreSQL has its reservations for
good. The last piece notes the generation in meta, so that other engines need not do it again; the next is
the one behind it, so that none is left out, however long no engine ran.

KEYS[1]  meta
ARGV[1]  context: I8 epoch, I8 seq seen, c8 unused
ARGV[2]  I2 generation, I4 first bucket, I4 buckets, I4 buckets that there are
Touches  deadlines, hold:*, cart:*
Returns  >B 1, B reason when fenced; else >B 0, I8 epoch, I8 seq, I8 lane time, i8 offset,
         I2 generation that is due, 0 when there is none; another one than that is not touched
Variants drop: flags=allow-oom
]]
-- @include fence
-- @include unseen

local NAMES_MAX = 4000
local generation, first, count, all = struct.unpack('>I2I4I4I4', ARGV[2])
local dropped = redis.call('HGET', KEYS[1], 'dropped')
local due = dropped and dropped + 1 or today - LIMIT.generations_back - 1
local oldest = unseen_since(today)
if today - due <= LIMIT.generations_back or (oldest and oldest <= due) then due = 0 end
if generation == due and due > 0 then
  local holds, carts = prefix .. 'hold:' .. generation .. ':', prefix .. 'cart:' .. generation .. ':'
  local names, n = {}, 0
  for bucket = first, math.min(first + count, all) - 1 do
    names[n + 1], names[n + 2] = holds .. bucket, carts .. bucket
    n = n + 2
    if n == NAMES_MAX then
      redis.call('UNLINK', unpack(names))
      names, n = {}, 0
    end
  end
  if n > 0 then redis.call('UNLINK', unpack(names)) end
  if first + count >= all then redis.call('HSET', KEYS[1], 'dropped', generation) end
end
return struct.pack('>BI8I8I8i8I2', 0, epoch, seq, now, offset, due)
