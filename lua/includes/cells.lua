-- The cells of a batch: each is read once, changed in Lua's memory, and written once.
-- A cell's bytes: events/cell-codec.ts. The field '' of a stock hash says that the SKU is known.
-- A cell whose bytes say nothing (somebody wrote over them) is `unreadable`: it has no units to be had,
-- nothing is booked on it, and only the operations that need it are refused.
--
-- Gives: work, has_room(units), work_max, is_begun; stock_of(sku), make_cell(...), kept_cell(stock, field),
--        keep_cell(stock, field, cell), encode_cell(cell), touch(cell), write_cells(), touched_count; and
--        for who keeps cells in locals: read_cell(bytes), pack_cell(a, r, l, v), formats, lengths, wide,
--        touched_keys, touched_fields, touched_bytes

-- How much the script has done: one for each operation (two to reserve or extend), each cell that it reads
-- by name and each place where units are taken or settled; an eighth for a cell that it reads with all
-- others of its SKU. One takes Redis some 8 us on slow cores. What is too much for a script is done by a
-- later one; but the first operation is always done, so nobody is put off for ever.
local work, work_max, is_begun = 0, LIMIT.work, false

local function has_room(units) return not is_begun or work + units <= work_max end

local WIDTH = { [0] = 'b', 'h', 'i4', 'i8' }
local WIDTH_BYTES = { [0] = 1, 2, 4, 8 }
local CELL_BYTES_MIN = 5
-- 2^52: what is booked on such a number still stays below 2^53, beyond which nobody can count.
local COUNT_MAX = 4503599627370496
local stocks, touched, touched_count = {}, {}, 0
-- By field, then by stock: few warehouses have the cells of a cart, so this is few tables. False: no such cell.
local cells_at = {}
-- Of the touched cells, as they are written, once the entry is made.
local touched_keys, touched_fields, touched_bytes = {}, {}, {}

-- How a cell with this head is packed, in how many bytes, and whether in numbers that may be greater
-- than COUNT_MAX; the cells of a batch have few different heads.
local formats, lengths, wide = {}, {}, {}
local function format_of(head)
  local format = formats[head]
  if not format then
    local a, r, l, v = math.floor(head / 64), math.floor(head / 16) % 4, math.floor(head / 4) % 4, head % 4
    format = '>B' .. WIDTH[a] .. WIDTH[r] .. WIDTH[l] .. WIDTH[v]
    formats[head] = format
    lengths[head] = 1 + WIDTH_BYTES[a] + WIDTH_BYTES[r] + WIDTH_BYTES[l] + WIDTH_BYTES[v]
    wide[head] = math.max(a, r, l, v) == 3
  end
  return format
end

local function kept_cell(stock, field)
  local here = cells_at[field]
  return here and here[stock]
end

local function keep_cell(stock, field, c)
  local here = cells_at[field]
  if here then here[stock] = c else cells_at[field] = { [stock] = c } end
end

-- Every field that a cell may get is there from the start, because a table that grows is built anew.
-- `place` is its number in the list of load_all.
local function make_cell(stock, field, a, r, l, v)
  local c = { stock = stock, field = field, a = a, r = r, l = l, v = v, index = false, place = false }
  keep_cell(stock, field, c)
  return c
end

local function is_countable(...)
  for i = 1, select('#', ...) do
    if math.abs(select(i, ...)) > COUNT_MAX then return false end
  end
  return true
end

-- The numbers of a cell, or nothing. `bytes` may be an error of Redis, where the key is no hash: its
-- length is 0. The length is compared before the numbers are read, because that costs next to nothing
-- and a pcall does not.
local function read_cell(bytes)
  if #bytes < CELL_BYTES_MIN then return end
  local head = string_byte(bytes)
  local format = formats[head] or format_of(head)
  if #bytes ~= lengths[head] then return end
  local _, a, r, l, v = struct_unpack(format, bytes)
  if wide[head] and not is_countable(a, r, l, v) then return end
  return a, r, l, v
end

local function width(n)
  if n >= -128 then return 0 end
  if n >= -32768 then return 1 end
  if n >= -2147483648 then return 2 end
  return 3
end

-- A call of a function costs as much as all these comparisons, and few numbers are below zero.
local function pack_cell(a, r, l, v)
  local head = (a < 128 and (a >= 0 and 0 or width(a)) or a < 32768 and 1 or a < 2147483648 and 2 or 3) * 64
    + (r < 128 and (r >= 0 and 0 or width(r)) or r < 32768 and 1 or r < 2147483648 and 2 or 3) * 16
    + (l < 128 and (l >= 0 and 0 or width(l)) or l < 32768 and 1 or l < 2147483648 and 2 or 3) * 4
    + (v < 128 and 0 or v < 32768 and 1 or v < 2147483648 and 2 or 3)
  return struct_pack(formats[head] or format_of(head), head, a, r, l, v)
end

local function encode_cell(c) return pack_cell(c.a, c.r, c.l, c.v) end

local function stock_of(sku)
  local s = stocks[sku]
  if not s then
    s = { sku = sku, key = prefix .. 'stock:' .. sku }
    stocks[sku] = s
  end
  return s
end

-- The cell is changed by this batch: gives its index in the entry.
local function touch(c)
  if not c.index then
    c.index = touched_count
    touched_count = touched_count + 1
    touched[touched_count] = c
    c.v = c.v + 1
  end
  return c.index
end

local function pack_touched(out, n)
  for i = 1, touched_count do
    local c = touched[i]
    local sku, field, bytes = c.stock.sku, c.field, encode_cell(c)
    touched_keys[i], touched_fields[i], touched_bytes[i] = c.stock.key, field, bytes
    out[n + i] = struct_pack('>Bc0Bc0Bc0', #sku, sku, #field, field, #bytes, bytes)
  end
  return n + touched_count
end

local function write_cells()
  for i = 1, touched_count do redis_call('HSET', touched_keys[i], touched_fields[i], touched_bytes[i]) end
end
