--[[
Rows of PostgreSQL on their way back into Redis, a chunk a call, each as it is to stand here. The
position is nothing from the first chunk on, so that a node whose recovery died half way is copied
again in full. Nothing is decided here: a few calls for each hash are all that a row costs.

KEYS[1]  meta
ARGV[1]  term, ARGV[2] replid of the claim
ARGV[3]  u16 n hashes that are written: u8+ key, u16 n fields: u8+ field, u32+ value;
         u16 n hashes that lose fields: u8+ key, u16 n fields: u8+ field;
         u16 n pieces of deadlines: u32 second, u32+ references
Touches  stock:*, hold:*, cart:*, deadlines, due:*
Returns  'done' or 'claim_lost'
Variants restore: flags=allow-oom
]]
-- @include claimed

forget_position()
local rows, pos = ARGV[3], 1
local count, key, fields
count, pos = struct.unpack('>I2', rows, pos)
for _ = 1, count do
  local list = {}
  key, fields, pos = struct.unpack('>Bc0I2', rows, pos)
  for i = 1, 2 * fields, 2 do
    list[i], list[i + 1], pos = struct.unpack('>Bc0I4c0', rows, pos)
  end
  redis.call('HSET', key, unpack(list))
end
count, pos = struct.unpack('>I2', rows, pos)
for _ = 1, count do
  local list = {}
  key, fields, pos = struct.unpack('>Bc0I2', rows, pos)
  for i = 1, fields do
    list[i], pos = struct.unpack('>Bc0', rows, pos)
  end
  redis.call('HDEL', key, unpack(list))
end
count, pos = struct.unpack('>I2', rows, pos)
for _ = 1, count do
  local second, references
  second, references, pos = struct.unpack('>I4I4c0', rows, pos)
  redis.call('ZADD', prefix .. 'deadlines', second, second)
  redis.call('RPUSH', prefix .. 'due:' .. second, references)
end
return 'done'
