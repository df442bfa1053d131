-- Finds cells in Redis, one by its name or all of a SKU, and keeps them in tables while the batch lasts.
--
-- Gives: cell_of(stock, field), cell_of_hold(stock, field), new_cell(stock, field), decode_cell(...),
--        is_unreadable(cell), is_known(stock), add_available(cell, n); cell_count(stock),
--        work_to_load(stock), load_all(stock), fullest_cell(stock)
-- Wants: cells.lua before it

-- Without a version, so that `touch` dies before anything is written if one is ever booked on.
local function make_unreadable(stock, field) return make_cell(stock, field, 0, 0, 0, false) end

local function is_unreadable(c) return not c.v end

local function decode_cell(stock, field, bytes)
  work = work + 1
  local a, r, l, v = read_cell(bytes)
  if not a then return make_unreadable(stock, field) end
  return make_cell(stock, field, a, r, l, v)
end

local function is_known(s)
  -- A key of another type is no SKU that nobody knows.
  if s.known == nil then s.known = redis.pcall('HEXISTS', s.key, '') ~= 0 end
  return s.known
end

-- The cell at a place of the list.
local function cell_at(s, place)
  local field = s.fields[place]
  local c = kept_cell(s, field) or decode_cell(s, field, s.bytes[place])
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
  local c = kept_cell(s, field)
  if c == nil then
    local place = s.fields and place_of(s, field)
    if place then return cell_at(s, place) end
    local bytes = redis_pcall('HGET', s.key, field)
    if bytes then return decode_cell(s, field, bytes) end
    work = work + 1
    c = false
    keep_cell(s, field, c)
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

-- How many cells the SKU has, of every pool; 0 where the key is no hash.
local function cell_count(s)
  if not s.count then
    local fields = redis_pcall('HLEN', s.key)
    -- One is no cell: the field '' says that the SKU is known.
    s.count = type(fields) == 'number' and math.max(0, fields - 1) or 0
  end
  return s.count
end

-- The work of load_all, or of nothing when it was done.
local function work_to_load(s)
  if s.fields then return 0 end
  return (1 + cell_count(s)) / LIMIT.cells_at_once
end

-- Reads every cell of the shared pool into a list: `fields`, `bytes` and `units` (available) by place.
-- `total` is their sum, `unreadable` one of those that cannot be read (with the field '' when none can).
-- A cell gets its table when it is asked for.
local function load_all(s)
  if s.fields then return end
  local all = redis.pcall('HGETALL', s.key)
  local fields, packed, units, total, n = {}, {}, {}, 0, 0
  s.known = #all > 0
  work = work + #all / 2 / LIMIT.cells_at_once
  if all.err then s.known, s.unreadable = true, make_unreadable(s, '') end
  for i = 1, #all, 2 do
    local field, bytes = all[i], all[i + 1]
    if field ~= '' and not string_find(field, '/', 1, true) then
      -- As kept_cell: a call for each of thousands would tell.
      local here = cells_at[field]
      local c = here and here[s]
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
