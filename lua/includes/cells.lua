-- The cells of a batch: each is read once, changed in Lua's memory, and written once.
-- A cell's bytes: events/cell-codec.ts. The field '' of a stock hash says that the SKU is known.
-- A cell whose bytes say nothing (somebody wrote over them) is `unreadable`: it has no units to be had,
-- nothing is booked on it, and only the operations that need it are refused.
--
-- Gives: stock_of(sku), cell_of(stock, field), cell_of_hold(stock, field), load_all(stock),
--        new_cell(stock, field), is_unreadable(cell), touch(cell), write_cells(), touched, touched_count

local WIDTH = { [0] = 'b', 'h', 'i4', 'i8' }
local WIDTH_BYTES = { [0] = 1, 2, 4, 8 }
local CELL_BYTES_MIN = 5
-- 2^52: what is booked on such a number still stays below 2^53, beyond which nobody can count.
local COUNT_MAX = 4503599627370496
local stocks, touched, touched_count = {}, {}, 0

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

-- Every field that a cell may get is there from the start, because a table that grows is built anew.
local function make_cell(stock, field, a, r, l, v)
  local c = { stock = stock, field = field, a = a, r = r, l = l, v = v, index = false, bytes = false }
  stock.cells[field] = c
  return c
end

-- Without a version, so that `touch` dies before anything is written if one is ever booked on.
local function make_unreadable(stock, field) return make_cell(stock, field, 0, 0, 0, false) end

local function is_unreadable(c) return not c.v end

local function is_countable(...)
  for i = 1, select('#', ...) do
    if math.abs(select(i, ...)) > COUNT_MAX then return false end
  end
  return true
end

-- `bytes` may be an error of Redis, where the key is no hash: its length is 0. The length is compared
-- before the numbers are read, because that costs next to nothing and a pcall does not.
local function decode_cell(stock, field, bytes)
  if #bytes < CELL_BYTES_MIN then return make_unreadable(stock, field) end
  local head = string_byte(bytes)
  local format = formats[head] or format_of(head)
  if #bytes ~= lengths[head] then return make_unreadable(stock, field) end
  local _, a, r, l, v = struct_unpack(format, bytes)
  if wide[head] and not is_countable(a, r, l, v) then return make_unreadable(stock, field) end
  return make_cell(stock, field, a, r, l, v)
end

local function width(n)
  if n >= -128 and n < 128 then return 0 end
  if n >= -32768 and n < 32768 then return 1 end
  if n >= -2147483648 and n < 2147483648 then return 2 end
  return 3
end

-- A call of a function costs as much as all the comparisons, and most numbers are small.
local function encode_cell(c)
  local a, r, l, v = c.a, c.r, c.l, c.v
  local head = (a < 128 and a >= -128 and 0 or width(a) * 64) + (r < 128 and r >= -128 and 0 or width(r) * 16)
    + (l < 128 and l >= -128 and 0 or width(l) * 4) + (v < 128 and 0 or width(v))
  return struct_pack(formats[head] or format_of(head), head, a, r, l, v)
end

local function stock_of(sku)
  local s = stocks[sku]
  if not s then
    s = { sku = sku, key = prefix .. 'stock:' .. sku, cells = {} }
    stocks[sku] = s
  end
  return s
end

local function is_known(s)
  -- A key of another type is no SKU that nobody knows.
  if s.known == nil then s.known = redis.pcall('HEXISTS', s.key, '') ~= 0 end
  return s.known
end

-- nil when there is no such cell.
local function cell_of(s, field)
  local c = s.cells[field]
  if c == nil then
    local bytes = redis_pcall('HGET', s.key, field)
    if bytes then return decode_cell(s, field, bytes) end
    c = false
    s.cells[field] = c
  end
  return c or nil
end

-- Where a hold has units there is a cell: one that is gone cannot be read either.
local function cell_of_hold(s, field)
  return cell_of(s, field) or { stock = s, field = field, a = 0, r = 0, l = 0, v = false }
end

local function new_cell(s, field)
  return make_cell(s, field, 0, 0, 0, 0)
end

-- Reads every cell of the shared pool; `list` and `total` (of available) are there from then on, and
-- `unreadable`, one of those that cannot be read (with the field '' when none can).
local function load_all(s)
  if s.list then return end
  local all = redis.pcall('HGETALL', s.key)
  s.known, s.list, s.total = #all > 0, {}, 0
  if all.err then s.known, s.unreadable = true, make_unreadable(s, '') end
  for i = 1, #all, 2 do
    local field = all[i]
    if field ~= '' and not string.find(field, '/', 1, true) then
      local c = s.cells[field] or decode_cell(s, field, all[i + 1])
      s.list[#s.list + 1] = c
      s.total = s.total + c.a
      if is_unreadable(c) then s.unreadable = c end
    end
  end
end

-- Moves units in or out of available; the other two counters are plain fields.
local function add_available(c, n)
  c.a = c.a + n
  local s = c.stock
  if s.total and not string.find(c.field, '/', 1, true) then s.total = s.total + n end
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
    c.bytes = bytes
    out[n + i] = struct_pack('>Bc0Bc0Bc0', #sku, sku, #field, field, #bytes, bytes)
  end
  return n + touched_count
end

local function write_cells()
  for i = 1, touched_count do
    local c = touched[i]
    redis_call('HSET', c.stock.key, c.field, c.bytes)
  end
end
