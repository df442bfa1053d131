--[[
The cells of many SKUs, as many of them as one script has room for: the rest is asked for again. All
that one script shows is of one instant.

KEYS[1]  meta
ARGV[1]  context: I8 epoch, I8 seq seen, c8 unused
ARGV[2]  u16 n, n x u8+ SKU
Touches  stock:*
Returns  >B 1, B reason when fenced; else >B 0, I8 epoch, I8 seq, I8 lane time, i8 offset, u16 how many
         of the SKUs follow (the first ones; one at the least, if any was asked for), and for each of
         them u8 known, u16 n cells: u8+ field, u8+ packed cell (empty: longer than any; with the
         field '': the key is no hash)
Variants availability: flags=no-writes
]]
-- @include fence

local CELL_BYTES_MAX, NAME_BYTES_MAX = 33, 255
local NO_HASH = struct_pack('>BI2BB', 1, 1, 0, 0)

local function cells_of(all)
  if all.err then return NO_HASH end
  local cells = {}
  for i = 1, #all, 2 do
    local field, bytes = all[i], all[i + 1]
    if field ~= '' and #field <= NAME_BYTES_MAX then
      if #bytes > CELL_BYTES_MAX then bytes = '' end
      cells[#cells + 1] = struct_pack('>Bc0Bc0', #field, field, #bytes, bytes)
    end
  end
  return struct_pack('>BI2', #all > 0 and 1 or 0, #cells) .. table.concat(cells)
end

-- In the unit of includes/cells.lua.
local function work_to_read(key)
  local cells = redis_pcall('HLEN', key)
  return 1 + (type(cells) == 'number' and cells / LIMIT.cells_at_once or 0)
end

local out, shown, work = { '' }, 0, 0
local count, pos = struct_unpack('>I2', ARGV[2])
for i = 1, count do
  local sku
  sku, pos = struct_unpack('>Bc0', ARGV[2], pos)
  local key = prefix .. 'stock:' .. sku
  work = work + work_to_read(key)
  if i > 1 and work > LIMIT.work then break end
  shown = i
  out[i + 1] = cells_of(redis_pcall('HGETALL', key))
end
out[1] = struct_pack('>BI8I8I8i8I2', 0, epoch, seq, now, offset, shown)
return table.concat(out)
