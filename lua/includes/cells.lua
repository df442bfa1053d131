-- The cells of a batch: each is read once, changed in Lua's memory, and written once.
-- A cell's bytes: events/cell-codec.ts. The field '' of a stock hash says that the SKU is known.
-- A cell whose bytes say nothing (somebody wrote over them) is `unreadable`: it has no units to be had,
-- nothing is booked on it, and only the operations that need it are refused.
--
-- Gives: work, has_room(units), work_max, is_begun; stock_of(sku), cell_of(stock, field),
--        cell_of_hold(stock, field), load_all(stock), work_to_load(stock), fullest_cell(stock),
--        add_available(cell, n), new_cell(stock, field), is_unreadable(cell),
--        touch(cell), write_cells(), touched_count; and for who keeps cells in locals: read_cell(bytes),
--        pack_cell(a, r, l, v), formats, lengths, wide, touched_keys, touched_fields, touched_bytes

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

-- Every field that a cell may get is there from the start, because a table that grows is built anew.
-- `place` is its number in the list of load_all.
local function make_cell(stock, field, a, r, l, v)
  local c = { stock = stock, field = field, a = a, r = r, l = l, v = v, index = false, place = false }
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

local function decode_cell(stock, field, bytes)
  work = work + 1
  local a, r, l, v = read_cell(bytes)
  if not a then return make_unreadable(stock, field) end
  return make_cell(stock, field, a, r, l, v)
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

-- The cell at a place of the list.
local function cell_at(s, place)
  local field = s.fields[place]
  local c = s.cells[field] or decode_cell(s, field, s.bytes[place])
  c.place = place
  return c
end

local function place_of(s, field)
  if not s.places then
    s.places = {}
    for place = 1, #s.fields do s.places[s.fields[place]] = place end
  end
  return s.places[field]
end

-- nil when there is no such cell.
local function cell_of(s, field)
  local c = s.cells[field]
  if c == nil then
    local place = s.fields and place_of(s, field)
    if place then return cell_at(s, place) end
    local bytes = redis_pcall('HGET', s.key, field)
    if bytes then return decode_cell(s, field, bytes) end
    work = work + 1
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

-- The available units alone: most cells of a SKU that stands in thousands are looked at for nothing else.
local function available_of(bytes)
  if #bytes < CELL_BYTES_MIN then return end
  local head, first, second, third, fourth = string_byte(bytes, 1, 5)
  if not formats[head] then format_of(head) end
  if #bytes ~= lengths[head] then return end
  if wide[head] then return (read_cell(bytes)) end
  if head < 64 then return first < 128 and first or first - 256 end
  if head < 128 then return (first < 128 and first or first - 256) * 256 + second end
  return (((first < 128 and first or first - 256) * 256 + second) * 256 + third) * 256 + fourth
end

-- So many cells that are read with all others of a SKU are as much work as one that is read by its name.
local CELLS_AT_ONCE = 8

-- The work of load_all, or of nothing when it was done.
local function work_to_load(s)
  if s.fields then return 0 end
  local cells = redis_pcall('HLEN', s.key)
  return type(cells) == 'number' and cells / CELLS_AT_ONCE or 1
end

-- Reads every cell of the shared pool into a list: `fields`, `bytes` and `units` (available) by place.
-- `total` is their sum, `unreadable` one of those that cannot be read (with the field '' when none can).
-- A cell gets its table when it is asked for.
local function load_all(s)
  if s.fields then return end
  local all = redis.pcall('HGETALL', s.key)
  local fields, packed, units, total, n = {}, {}, {}, 0, 0
  s.known = #all > 0
  work = work + #all / 2 / CELLS_AT_ONCE
  if all.err then s.known, s.unreadable = true, make_unreadable(s, '') end
  for i = 1, #all, 2 do
    local field, bytes = all[i], all[i + 1]
    if field ~= '' and not string_find(field, '/', 1, true) then
      local c = s.cells[field]
      local available
      if c then available = c.v and c.a else available = available_of(bytes) end
      if not available then
        c, available = c or make_unreadable(s, field), 0
        s.unreadable = c
      end
      n = n + 1
      if c then c.place = n end
      fields[n], packed[n], units[n], total = field, bytes, available, total + available
    end
  end
  s.fields, s.bytes, s.units, s.total, s.fullest = fields, packed, units, total, {}
end

-- The list is looked at in blocks, because a line that is split over 255 warehouses, or a batch that asks
-- for more than any has, would look at all of 2,000 again and again. Of each block the place that has the
-- most is known, until a cell of it changes.
local BLOCK = 64

local function fullest_of_block(s, block)
  local units, fields, best = s.units, s.fields, false
  for place = block * BLOCK + 1, math.min(block * BLOCK + BLOCK, #fields) do
    local n = units[place]
    if n > 0 and (not best or n > units[best] or (n == units[best] and fields[place] < fields[best])) then
      best = place
    end
  end
  s.fullest[block] = best
  return best
end

-- The cell that has the most of what is to be had, the first by name of several; nil when all are empty.
local function fullest_cell(s)
  local units, fields, fullest, best = s.units, s.fields, s.fullest, nil
  for block = 0, math.floor((#fields - 1) / BLOCK) do
    local place = fullest[block]
    if place == nil then place = fullest_of_block(s, block) end
    if place and (not best or units[place] > units[best]
      or (units[place] == units[best] and fields[place] < fields[best])) then
      best = place
    end
  end
  return best and cell_at(s, best)
end

-- Moves units in or out of available; the other two counters are plain fields.
local function add_available(c, n)
  c.a = c.a + n
  local place, s = c.place, c.stock
  if place then
    s.units[place], s.total = c.a, s.total + n
    s.fullest[math.floor((place - 1) / BLOCK)] = nil
  end
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
