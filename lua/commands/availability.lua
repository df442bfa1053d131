--[[
The cells of many SKUs at one instant.

KEYS[1]  meta
ARGV[1]  context: I8 epoch, I8 seq seen, c8 unused
ARGV[2]  u16 n, n x u8+ SKU
Touches  stock:*
Returns  >B 1, B reason when fenced; else >B 0, I8 epoch, I8 seq, I8 lane time, i8 offset, and for
         each SKU u8 known, u16 n cells: u8+ field, u8+ packed cell (empty: longer than any; with the
         field '': the key is no hash)
Variants availability: flags=no-writes
]]
-- @include fence

local CELL_BYTES_MAX, NAME_BYTES_MAX = 33, 255
local NO_HASH = struct.pack('>BI2BB', 1, 1, 0, 0)

local function cells_of(all)
  if all.err then return NO_HASH end
  local cells = {}
  for i = 1, #all, 2 do
    local field, bytes = all[i], all[i + 1]
    if field ~= '' and #field <= NAME_BYTES_MAX then
      if #bytes > CELL_BYTES_MAX then bytes = '' end
      cells[#cells + 1] = struct.pack('>Bc0Bc0', #field, field, #bytes, bytes)
    end
  end
  return struct.pack('>BI2', #all > 0 and 1 or 0, #cells) .. table.concat(cells)
end

local out = { struct.pack('>BI8I8I8i8', 0, epoch, seq, now, offset) }
local count, pos = struct.unpack('>I2', ARGV[2])
for _ = 1, count do
  local sku
  sku, pos = struct.unpack('>Bc0', ARGV[2], pos)
  out[#out + 1] = cells_of(redis.pcall('HGETALL', prefix .. 'stock:' .. sku))
end
return table.concat(out)
