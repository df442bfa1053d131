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

local function take(takes, line, c, units)
  add_available(c, -units)
  takes[#takes + 1] = { line = line, cell = c, units = units }
  work = work + 1
end

-- The formats count the places of a line in one byte, and the cells of an entry in two: a line is
-- split over 255 cells at the most, a cart over PLACES_MAX (the engine bounds the batch).
local LINE_PLACES_MAX, PLACES_MAX = 255, 4000

local function most_takes(takes) return math.min(#takes + LINE_PLACES_MAX, PLACES_MAX) end

-- Gives back all takes behind the first `keep`.
local function give_back(takes, keep)
  for i = #takes, keep + 1, -1 do
    add_available(takes[i].cell, takes[i].units)
    takes[i] = nil
  end
end

local function take_anywhere(takes, line, wanted, split)
  local left, most = wanted, most_takes(takes)
  while left > 0 and #takes < most do
    local c = fullest(line.stock, left)
    if not c or (c.a < left and not split) then break end
    local units = math.min(c.a, left)
    take(takes, line, c, units)
    left = left - units
  end
  return wanted - left
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
    if #takes >= most then break end
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
  return take_anywhere(takes, line, wanted, split)
end

-- Units that the line could have now.
local function had(line, split)
  if not line.cells then
    if split then return line.stock.total end
    local best = fullest(line.stock, math.huge)
    return best and best.a or 0
  end
  local sum = 0
  for i = 1, #line.cells do
    local units = math.max(0, line.cells[i].a)
    sum = split and sum + units or math.max(sum, units)
  end
  return sum
end

-- A cell of a line that is short, because of which nobody can say that there are too few units.
local function unreadable_of(line)
  if not line.cells then return line.stock.unreadable end
  for i = 1, #line.cells do
    if is_unreadable(line.cells[i]) then return line.cells[i] end
  end
end

local function skip_lines(pos, count)
  for _ = 1, count do
    local _, _, preferences, behind = struct.unpack('>I2I4B', operations, pos)
    pos = behind + 2 * preferences
  end
  return pos
end

-- Nothing when the script has no room for what must be looked at, and for a place of each line that may
-- be had there; where a line is split over the warehouses of its SKU is only found in deciding.
local function read_lines(pos, count)
  local lines, takes = {}, 0
  for i = 1, count do
    local line = { index = i - 1 }
    local sku, preferences
    sku, line.units, preferences, pos = struct.unpack('>I2I4B', operations, pos)
    line.stock = stock_of(skus[sku + 1])
    -- Of a line that names none, the cell is read when it is taken from.
    takes = takes + (preferences > 0 and preferences or 2)
    if not has_room(takes + (preferences > 0 and preferences or work_to_load(line.stock))) then return end
    if preferences > 0 then
      line.cells = {}
      for k = 1, preferences do
        local field
        field, pos = struct.unpack('>I2', operations, pos)
        local c = cell_of(line.stock, fields[field + 1])
        if c then line.cells[#line.cells + 1] = c end
      end
    else
      load_all(line.stock)
    end
    lines[i] = line
  end
  return lines, pos
end

-- Unknown SKUs and warehouses of the operation: outcome, or nil when there are none.
local function find_unknown(lines)
  local outcome, lacking = nil, {}
  for i = 1, #lines do
    local line = lines[i]
    if #(line.cells or line.stock.fields) == 0 then
      local this = is_known(line.stock) and OUTCOME.unknown_warehouse or OUTCOME.unknown_sku
      -- A known SKU that was never received anywhere is sold out, not unknown.
      if this == OUTCOME.unknown_sku or line.cells then
        if not outcome or this < outcome then outcome, lacking = this, {} end
        if this == outcome then lacking[#lacking + 1] = struct.pack('>I2I8', line.index, 0) end
      end
    end
  end
  return outcome, lacking
end

-- Takes from then on are this reservation's; the changes and the record carry them.
local function hold_takes(at, fingerprint, ttl, attributes, lines, takes)
  local created = math.floor(now / 1000)
  local deadline = math.ceil((now + ttl * 1000) / 1000)
  local record, logged, r, places, placed, count = {}, {}, 0, {}, {}, 0
  local line_count, i = 0, 1
  while i <= #takes do
    local line = takes[i].line
    local sku, index, wanted = line.stock.sku, line.index, line.units
    local following = takes[i + 1]
    r = r + 1
    if following and following.line == line then
      count = 0
      while i <= #takes and takes[i].line == line do
        local units, c = takes[i].units, takes[i].cell
        c.r = c.r + units
        count = count + 1
        places[count] = struct_pack('>Bc0I4', #c.field, c.field, units)
        placed[count] = struct_pack('>I2I4', touch(c), units)
        i = i + 1
      end
      record[r] = struct_pack('>I2Bc0I4B', index, #sku, sku, wanted, count)
        .. table.concat(places, '', 1, count)
      logged[r] = struct_pack('>I2I4B', index, wanted, count) .. table.concat(placed, '', 1, count)
    else
      -- Nearly every line stands in one place.
      local units, c = takes[i].units, takes[i].cell
      c.r = c.r + units
      record[r] = struct_pack('>I2Bc0I4BBc0I4', index, #sku, sku, wanted, 1, #c.field, c.field, units)
      logged[r] = struct_pack('>I2I4BI2I4', index, wanted, 1, touch(c), units)
      i = i + 1
    end
    line_count = line_count + 1
  end
  add_change(struct.pack('>BBc0I2c8I4I2c0I2', 1, #at.id, at.id, at.generation, fingerprint,
    deadline, #attributes, attributes, line_count) .. table.concat(logged, '', 1, r))
  local bytes = struct.pack('>Bc8I4I2I4BI2', STATE.held, fingerprint, created, 1, deadline, 0, line_count)
    .. table.concat(record, '', 1, r)
  save_hold(at, bytes)
  add_due(deadline, at)
  return bytes
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
  end
  local partial = math.floor(flags / PARTIAL) % 2 == 1
  local split = math.floor(flags / SPLIT) % 2 == 1
  local lines, behind = read_lines(pos, count)
  if not lines then
    answer_not_yet()
    return skip_lines(pos, count)
  end
  pos, is_begun = behind, true
  local unknown, lacking = find_unknown(lines)
  -- What a partial cart cannot have at one warehouse does not keep it from having the rest.
  if unknown and not (partial and unknown == OUTCOME.unknown_warehouse) then
    answer_short(unknown, lacking)
    return pos
  end
  local takes, short, unreadable = {}, {}, nil
  for i = 1, count do
    local line, before = lines[i], #takes
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
  if #takes == 0 or (#short > 0 and not partial) then
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
  answer_record(OUTCOME.created, false, hold_takes(at, fingerprint, ttl, attributes, lines, takes), short)
  return pos
end
