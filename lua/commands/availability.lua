--[[
The cells of many SKUs at one instant.

KEYS[1]  meta
ARGV[1]  context: I8 epoch, I8 seq seen, c8 unused
ARGV[2]  u16 n, n x u8+ SKU
Touches  stock:*
Returns  >B 1, B reason when fenced; else >B 0, I8 epoch, I8 seq, I8 lane time, i8 offset, and for
         each SKU u8 known, u16 n cells: u8+ field, u8+ packed cell
Variants availability: flags=no-writes
]]
-- @include fence

local out = { struct.pack('>BI8I8I8i8', 0, epoch, seq, now, offset) }
local count, pos = struct.unpack('>I2', ARGV[2])
for _ = 1, count do
  local sku
  sku, pos = struct.unpack('>Bc0', ARGV[2], pos)
  local all, cells = redis.call('HGETALL', prefix .. 'stock:' .. sku), {}
  for i = 1, #all, 2 do
    if all[i] ~= '' then
      cells[#cells + 1] = struct.pack('>Bc0Bc0', #all[i], all[i], #all[i + 1], all[i + 1])
    end
  end
  out[#out + 1] = struct.pack('>BI2', #all > 0 and 1 or 0, #cells) .. table.concat(cells)
end
return table.concat(out)
