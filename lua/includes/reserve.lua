-- Decides one reserve; changes only Lua's memory.
--
-- Gives: reserve(flags, ttl, attributes, generation, bucket, id, pos) -> pos behind the operation

local FRESH, PARTIAL, SPLIT = 1, 2, 4

-- The cell that takes the next units of a line without preference: the last one that served stays
-- while it has enough, so that a hot SKU does not scan its warehouses for every buyer.
local function fullest(s, wanted)
  local best = s.best
  if best and best.a >= wanted then return best end
  s.best = fullest_cell(s)
  return s.best
end

-- What was taken of which cell for which line, in the order of the lines: `lines`, `cells`, `units` by number
-- up to `n`. A table for each place would cost as much as to read its cell.
local function take(takes, line, c, units)
  add_available(c, -units)
  local n = takes.n + 1
  takes.lines[n], takes.cells[n], takes.units[n], takes.n = line, c, units, n
  work = work + 1
end

-- The formats count the places of a line in one byte, and the cells of an entry in two: a line is
-- split over 255 cells at the most, a cart over PLACES_MAX (the engine bounds the batch).
local LINE_PLACES_MAX, PLACES_MAX = 255, 4000

local function most_takes(takes) return math.min(takes.n + LINE_PLACES_MAX, PLACES_MAX) end

-- Gives back all takes behind the first `keep`.
local function give_back(takes, keep)
  for i = takes.n, keep + 1, -1 do add_available(takes.cells[i], takes.units[i]) end
  takes.n = keep
end

local function take_anywhere(takes, line, wanted, split)
  local left, most = wanted, most_takes(takes)
  while left > 0 and takes.n < most do
    local c = fullest(line.stock, left)
    if not c or (c.a < left and not split) then break end
    local units = math.min(c.a, left)
    take(takes, line, c, units)
    left = left - units
  end
  return wanted - left
end

local function take_from_one(takes, line, wanted, split)
  local c, units = line.cell, wanted
  if c.a < wanted then
    if not split or c.a <= 0 or takes.n >= PLACES_MAX then return 0 end
    units = c.a
  end
  take(takes, line, c, units)
  return units
end

-- The first cell that has all, else, when the line may be split, what each has in turn.
local function take_ranked(takes, line, wanted, split)
  local cells, left = line.cells, wanted
  for i = 1, #cells do
    if cells[i].a >= wanted then
      take(takes, line, cells[i], wanted)
      return wanted
    end
  end
  if not split then return 0 end
  local most = most_takes(takes)
  for i = 1, #cells do
    if takes.n >= most then break end
    local units = math.min(cells[i].a, left)
    if units > 0 then
      take(takes, line, cells[i], units)
      left = left - units
    end
  end
  return wanted - left
end

-- Takes up to `wanted` units and says how many; a line that may not be split takes all or none.
local function take_line(takes, line, wanted, split)
  if wanted <= 0 then return 0 end
  if line.cells then return take_ranked(takes, line, wanted, split) end
  if line.cell then return take_from_one(takes, line, wanted, split) end
  if line.preferences > 0 then return 0 end
  return take_anywhere(takes, line, wanted, split)
end

-- Units that the line could have now.
local function had(line, split)
  if line.preferences == 0 then
    if split then return line.stock.total end
    local best = fullest(line.stock, math.huge)
    return best and best.a or 0
  end
  if not line.cells then return line.cell and math.max(0, line.cell.a) or 0 end
  local sum = 0
  for i = 1, #line.cells do
    local units = math.max(0, line.cells[i].a)
    sum = split and sum + units or math.max(sum, units)
  end
  return sum
end

-- A cell of a line that is short, because of which nobody can say that there are too few units.
local function unreadable_of(line)
  if line.preferences == 0 then return line.stock.unreadable end
  if not line.cells then return line.cell and is_unreadable(line.cell) and line.cell or nil end
  for i = 1, #line.cells do
    if is_unreadable(line.cells[i]) then return line.cells[i] end
  end
end

local function skip_lines(pos, count)
  for _ = 1, count do
    local _, _, preferences, behind = struct_unpack('>I2I4B', operations, pos)
    pos = behind + 2 * preferences
  end
  return pos
end

-- The lines as they are asked for; how much work it will be to look at them and to take a place of each
-- that may be had, and at how many cells they look. Where a line is split over the warehouses of its SKU is
-- only found in deciding.
local function read_lines(pos, count)
  local lines, most, looked_at = {}, 0, 0
  for i = 1, count do
    local sku, units, preferences, named = struct_unpack('>I2I4B', operations, pos)
    local line = { index = i - 1, stock = stock_of(skus[sku + 1]), units = units, preferences = preferences,
      named = named, cell = false, cells = false }
    pos = named + 2 * preferences
    if preferences > 0 then
      most, looked_at = most + 2 * preferences, looked_at + preferences
    elseif line.stock.counted_for ~= lines then
      line.stock.counted_for = lines
      -- A place, and the cell that is read when it is taken from.
      most, looked_at = most + 2 + work_to_load(line.stock), looked_at + cell_count(line.stock)
    else
      most = most + 2
    end
    lines[i] = line
  end
  return lines, pos, most, looked_at
end

-- Reads the cells that a line may be served from: all of its SKU, or those that it names and that there
-- are, the first as `cell`, and when there are several all of them as `cells`.
local function find_cells_of(line)
  if line.preferences == 0 then return load_all(line.stock) end
  local pos = line.named
  for _ = 1, line.preferences do
    local field
    field, pos = struct_unpack('>I2', operations, pos)
    local c = cell_of(line.stock, fields[field + 1])
    if c and line.cell then
      line.cells = line.cells or { line.cell }
      line.cells[#line.cells + 1] = c
    elseif c then
      line.cell = c
    end
  end
end

local function is_nowhere(line)
  if line.preferences > 0 then return not line.cell end
  return #line.stock.fields == 0
end

-- Unknown SKUs and warehouses of the operation: outcome, or nil when there are none.
local function find_unknown(lines)
  local outcome, lacking = nil, {}
  for i = 1, #lines do
    local line = lines[i]
    if is_nowhere(line) then
      local this = is_known(line.stock) and OUTCOME.unknown_warehouse or OUTCOME.unknown_sku
      -- A known SKU that was never received anywhere is sold out, not unknown.
      if this == OUTCOME.unknown_sku or line.preferences > 0 then
        if not outcome or this < outcome then outcome, lacking = this, {} end
        if this == outcome then lacking[#lacking + 1] = struct.pack('>I2I8', line.index, 0) end
      end
    end
  end
  return outcome, lacking
end

-- Takes from then on are this reservation's; the changes and the record carry them.
local function hold_takes(at, fingerprint, ttl, attributes, takes)
  local created = math.floor(now / 1000)
  local deadline = math.ceil((now + ttl * 1000) / 1000)
  local taken_lines, taken_cells, taken_units, n = takes.lines, takes.cells, takes.units, takes.n
  local record, logged, places, placed, count = {}, {}, {}, {}, 0
  local line_count, i = 0, 1
  while i <= n do
    local line = taken_lines[i]
    local sku, index, wanted = line.stock.sku, line.index, line.units
    line_count = line_count + 1
    if i < n and taken_lines[i + 1] == line then
      count = 0
      while i <= n and taken_lines[i] == line do
        local units, c = taken_units[i], taken_cells[i]
        c.r = c.r + units
        count = count + 1
        places[count] = struct_pack('>Bc0I4', #c.field, c.field, units)
        placed[count] = struct_pack('>I2I4', touch(c), units)
        i = i + 1
      end
      record[line_count] = struct_pack('>I2Bc0I4B', index, #sku, sku, wanted, count)
        .. table.concat(places, '', 1, count)
      logged[line_count] = struct_pack('>I2I4B', index, wanted, count)
        .. table.concat(placed, '', 1, count)
    else
      -- Nearly every line stands in one place.
      local units, c = taken_units[i], taken_cells[i]
      local field = c.field
      c.r = c.r + units
      record[line_count] = struct_pack('>I2Bc0I4BBc0I4', index, #sku, sku, wanted, 1, #field, field, units)
      logged[line_count] = struct_pack('>I2I4BI2I4', index, wanted, 1, touch(c), units)
      i = i + 1
    end
  end
  add_change(struct.pack('>BBc0I2c8I4I2c0I2', 1, #at.id, at.id, at.generation, fingerprint,
    deadline, #attributes, attributes, line_count) .. table.concat(logged))
  local bytes = struct.pack('>Bc8I4I2I4BI2', STATE.held, fingerprint, created, 1, deadline, 0, line_count)
    .. table.concat(record)
  save_hold(at, bytes)
  add_due(deadline, at)
  return bytes
end

local function make_unseen()
-- @include unseen
  return unseen_since(today)
end

local HAS_ENDED = { [STATE.committed] = true, [STATE.released] = true, [STATE.expired] = true,
  [STATE.closed] = true, [STATE.operation] = true }
local oldest_unseen

-- How many days a hold of this id may stand in that nobody looks at any more.
local function days_unseen(generation)
  if generation > 0 and today - generation <= LIMIT.generations_back then return 0 end
  if oldest_unseen == nil then oldest_unseen = make_unseen() or false end
  return oldest_unseen and today - 1 - oldest_unseen or 0
end

-- Whether one does: there would be two of it.
local function lives_unseen(days, bucket, id)
  for day = today - 1 - days, today - 2 do
    local bytes = read_record(day, bucket, field_of(day, bucket, id))
    if bytes and not HAS_ENDED[string_byte(bytes) or 0] then return true end
  end
  return false
end

local function reserve(flags, ttl, attributes, generation, bucket, id, pos)
  local fingerprint, count, at
  fingerprint, count, pos = struct_unpack('>c8I2', operations, pos)
  if not has_room(2 + 2 * count) then
    answer_not_yet()
    return skip_lines(pos, count)
  end
  work = work + 2
  if flags % 2 == FRESH and is_fresh then
    at = found_at(generation, bucket, id, false)
  else
    at = find_hold(generation, bucket, id)
    work = work + 1
    if at.bytes and (not read_hold(at.bytes) or hold_state == STATE.operation) then
      answer_unreadable_record(id)
      return skip_lines(pos, count)
    end
    if at.bytes then
      if string.sub(at.bytes, 2, 9) ~= fingerprint then
        answer(OUTCOME.exists_with_different_payload)
      else
        answer_record(OUTCOME.exists, true, at.bytes)
      end
      return skip_lines(pos, count)
    end
    local days = days_unseen(generation)
    if not has_room(days) then
      answer_not_yet()
      return skip_lines(pos, count)
    end
    work = work + days
    if lives_unseen(days, bucket, id) then
      answer(OUTCOME.undecided)
      return skip_lines(pos, count)
    end
  end
  local partial = math.floor(flags / PARTIAL) % 2 == 1
  local split = math.floor(flags / SPLIT) % 2 == 1
  local lines, behind, most, looked_at = read_lines(pos, count)
  if not has_room(most) then
    answer_not_yet()
    return behind
  end
  pos, is_begun = behind, true
  if count > 1 and looked_at > LIMIT.cart_cells then
    -- What was counted took a look at each line.
    work = work + count
    answer(OUTCOME.limit_exceeded)
    return pos
  end
  for i = 1, count do find_cells_of(lines[i]) end
  local unknown, lacking = find_unknown(lines)
  -- What a partial cart cannot have at one warehouse does not keep it from having the rest.
  if unknown and not (partial and unknown == OUTCOME.unknown_warehouse) then
    answer_short(unknown, lacking)
    return pos
  end
  local takes, short, unreadable = { lines = {}, cells = {}, units = {}, n = 0 }, {}, nil
  for i = 1, count do
    local line, before = lines[i], takes.n
    local wanted = line.units
    if partial then wanted = math.min(wanted, had(line, split)) end
    local got = take_line(takes, line, wanted, split)
    if got < line.units then
      unreadable = unreadable or unreadable_of(line)
      if not partial then
        give_back(takes, before)
        got = had(line, split)
      end
      short[#short + 1] = struct.pack('>I2I8', line.index, math.max(0, got))
    end
  end
  if takes.n == 0 or (#short > 0 and not partial) then
    give_back(takes, 0)
    if unknown then
      answer_short(unknown, lacking)
    elseif unreadable then
      answer_unreadable(unreadable)
    else
      answer_short(OUTCOME.insufficient, short)
    end
    return pos
  end
  answer_record(OUTCOME.created, false, hold_takes(at, fingerprint, ttl, attributes, takes), short)
  return pos
end
