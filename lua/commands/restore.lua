--[[
Rows of PostgreSQL on their way back into Redis, a chunk a call. The position is nothing from the first
chunk on, so that a node whose recovery died half way is copied again in full.

KEYS[1]  meta
ARGV[1]  term, ARGV[2] replid of the claim
ARGV[3]  u16 n products: u8+ SKU; u16 n cells: u8+ SKU, u8+ field, u8+ packed cell;
         u16 n records: u16 generation, u24 bucket, u8+ id, u32 deadline s or 0, u32+ record
Touches  stock:*, hold:*, cart:*, deadlines, due:*
Returns  'done' or 'claim_lost'
Variants restore: flags=allow-oom
]]
-- @include claimed

local today = 0
-- @include holds

forget_position()
local rows, pos = ARGV[3], 1
local count
count, pos = struct.unpack('>I2', rows, pos)
for _ = 1, count do
  local sku
  sku, pos = struct.unpack('>Bc0', rows, pos)
  redis.call('HSET', prefix .. 'stock:' .. sku, '', '1')
end
count, pos = struct.unpack('>I2', rows, pos)
for _ = 1, count do
  local sku, field, bytes
  sku, field, bytes, pos = struct.unpack('>Bc0Bc0Bc0', rows, pos)
  redis.call('HSET', prefix .. 'stock:' .. sku, field, bytes)
end
count, pos = struct.unpack('>I2', rows, pos)
for _ = 1, count do
  local at, deadline, bytes = {}, nil, nil
  at.generation, at.bucket, at.id, deadline, bytes, pos = struct.unpack('>I2I3Bc0I4I4c0', rows, pos)
  save_hold(at, bytes)
  if deadline > 0 then add_due(deadline, at) end
end
write_holds()
write_due()
return 'done'
