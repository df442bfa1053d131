-- The cells of a batch: each is read once, changed in Lua's memory, and written once.
-- A cell's bytes: events/cell-codec.ts. The field '' of a stock hash says that the SKU is known.
--
-- Gives: stock_of(sku), cell_of(stock, field), load_all(stock), new_cell(stock, field),
--        touch(cell), write_cells(), touched, touched_count

local WIDTH = { [0] = 'b', 'h', 'i4', 'i8' }
local stocks, touched, touched_count = {}, {}, 0

-- How a cell with this head is packed; the cells of a batch have few different ones.
local formats = {}
local function format_of(head)
  local format = formats[head]
  if not format then
    format = '>B' .. WIDTH[math.floor(head / 64)] .. WIDTH[math.floor(head / 16) % 4]
      .. WIDTH[math.floor(head / 4) % 4] .. WIDTH[head % 4]
    formats[head] = format
  end
  return format
end

-- Every field that a cell may get is there from the start, because a table that grows is built anew.
local function make_cell(stock, field, a, r, l, v)
  local c = { stock = stock, field = field, a = a, r = r, l = l, v = v, index = false, bytes = false }
  stock.cells[field] = c
  return c
end

local function decode_cell(stock, field, bytes)
  local _, a, r, l, v = struct.unpack(format_of(string.byte(bytes)), bytes)
  return make_cell(stock, field, a, r, l, v)
end

local function width(n)
  if n >= -128 and n < 128 then return 0 end
  if n >= -32768 and n < 32768 then return 1 end
  if n >= -2147483648 and n < 2147483648 then return 2 end
  return 3
end

local function encode_cell(c)
  local a, r, l, v = c.a, c.r, c.l, c.v
  local head = width(a) * 64 + width(r) * 16 + width(l) * 4 + width(v)
  return struct.pack(format_of(head), head, a, r, l, v)
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
  if s.known == nil then s.known = redis.call('HEXISTS', s.key, '') == 1 end
  return s.known
end

-- nil when there is no such cell.
local function cell_of(s, field)
  local c = s.cells[field]
  if c == nil then
    local bytes = redis.call('HGET', s.key, field)
    if bytes then return decode_cell(s, field, bytes) end
    c = false
    s.cells[field] = c
  end
  return c or nil
end

local function new_cell(s, field)
  return make_cell(s, field, 0, 0, 0, 0)
end

-- Reads every cell of the shared pool; `list` and `total` (of available) are there from then on.
local function load_all(s)
  if s.list then return end
  local all = redis.call('HGETALL', s.key)
  s.known, s.list, s.total = #all > 0, {}, 0
  for i = 1, #all, 2 do
    local field = all[i]
    if field ~= '' and not string.find(field, '/', 1, true) then
      local c = s.cells[field] or decode_cell(s, field, all[i + 1])
      s.list[#s.list + 1] = c
      s.total = s.total + c.a
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
    local sku, field = c.stock.sku, c.field
    c.bytes = encode_cell(c)
    n = n + 1
    out[n] = struct.pack('>Bc0Bc0Bc0', #sku, sku, #field, field, #c.bytes, c.bytes)
  end
  return n
end

local function write_cells()
  for i = 1, touched_count do
    local c = touched[i]
    redis.call('HSET', c.stock.key, c.field, c.bytes)
  end
end
