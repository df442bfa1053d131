-- Decides one commit, release, cancel, ship, extend or inspect; changes only Lua's memory.
--
-- Gives: settle(kind, flags, generation, bucket, id, pos), extend(...), inspect(...) -> pos behind

local LINES, ADOPT, RETAKE, KEYED = 1, 2, 4, 8
local NO_KEY = string.rep('\0', 8)

local function has(flags, flag) return math.floor(flags / flag) % 2 == 1 end

local function read_settlement(kind, flags, pos)
  local op = { kind = kind, key = NO_KEY, number = 0 }
  op.attributes, pos = struct.unpack('>I2c0', operations, pos)
  if kind == KIND.commit then op.number, pos = struct.unpack('>I4', operations, pos) end
  if has(flags, KEYED) then op.key, pos = struct.unpack('>c8', operations, pos) end
  if has(flags, RETAKE) then
    op.hold_epoch, op.fingerprint, op.time_left, pos = struct.unpack('>I8c8I4', operations, pos)
  end
  if has(flags, ADOPT) then op.adopt, pos = struct.unpack('>I4c0', operations, pos) end
  if has(flags, LINES) then
    local count
    count, pos = struct.unpack('>I2', operations, pos)
    op.lines = {}
    for i = 1, count do
      local sku, field, units
      sku, field, units, pos = struct.unpack('>I2I2I4', operations, pos)
      op.lines[i] = { sku = skus[sku + 1], field = fields[field + 1], units = units }
    end
  end
  return op, pos
end

-- The places of a hold in order, each with `units`; `take` is what the operation names of it.
local function all_places(hold)
  local places = {}
  for i = 1, #hold.lines do
    local line = hold.lines[i]
    for k = 1, #line.places do places[#places + 1] = line.places[k] end
  end
  return places
end

-- Distributes the named units over the places in order. False: more than there is.
local function name_units(places, lines)
  for i = 1, #places do places[i].take = lines and 0 or places[i].units end
  if not lines then return true end
  for i = 1, #lines do
    local wanted, left = lines[i], lines[i].units
    for k = 1, #places do
      local p = places[k]
      if p.sku == wanted.sku and (wanted.field == '' or wanted.field == p.field) then
        local units = math.min(left, p.units - p.take)
        p.take = p.take + units
        left = left - units
      end
    end
    if left > 0 then return false end
  end
  return true
end

-- nil: not known; 'same': a replay; 'other': the key was used with other lines.
local function seen_operation(hold, key)
  if key == NO_KEY then return nil end
  for i = 1, #hold.operations, 8 do
    if string.sub(hold.operations, i, i + 3) == string.sub(key, 1, 4) then
      return string.sub(hold.operations, i + 4, i + 7) == string.sub(key, 5, 8) and 'same' or 'other'
    end
  end
end

local function place_cell(p) return cell_of_hold(stock_of(p.sku), p.field) end

-- True when a cell that units would leave cannot be read: then it is answered, and nothing has moved.
-- `all`: also those of which nothing is named.
local function is_stuck(places, all)
  for i = 1, #places do
    local c = place_cell(places[i])
    if (all or places[i].take > 0) and is_unreadable(c) then
      answer_unreadable(c)
      return true
    end
  end
  return false
end

local function log_change(type, at, body)
  add_change(struct.pack('>BBc0I2', type, #at.id, at.id, at.generation) .. body)
end

local function bump(hold) hold.version = (hold.version + 1) % 65536 end

local function log_moves(places)
  local out, n = {}, 0
  for i = 1, #places do
    local p = places[i]
    if p.take > 0 then
      n = n + 1
      out[n] = struct.pack('>I2I2I4', p.line, touch(place_cell(p)), p.take)
    end
  end
  return struct.pack('>I2', n) .. table.concat(out)
end

local function log_settlement(type, at, hold, last, op, places)
  log_change(type, at, struct.pack('>I2Bc8I2c0', hold.version, last and 1 or 0, op.key,
    #op.attributes, op.attributes) .. log_moves(places))
end

-- ---------------------------------------------------------------- commit

local function log_commit(at, hold, op, retaken, moves)
  log_change(2, at, struct.pack('>I2I4Bc8I2c0I2', hold.version, hold.number, retaken and 1 or 0,
    hold.fingerprint, #op.attributes, op.attributes, #moves) .. table.concat(moves))
end

local function commit_held(at, hold, op)
  local places, moves = all_places(hold), {}
  if not name_units(places, op.lines) then return answer(OUTCOME.exceeds_reservation) end
  if is_stuck(places, true) then return end
  for i = 1, #places do
    local p = places[i]
    local c = place_cell(p)
    local freed = p.units - p.take
    c.r, c.l = c.r - p.units, c.l + p.take
    add_available(c, freed)
    moves[i] = struct.pack('>I2I2I4I4', p.line, touch(c), p.take, freed)
    p.units = p.take
  end
  hold.state, hold.number = STATE.committed, op.number
  bump(hold)
  log_commit(at, hold, op, false, moves)
  save_hold(at, encode_hold(hold))
  answer_record(OUTCOME.committed, false, at.bytes)
end

-- The hold is gone: takes the units that the lines name again, all or none; and only within the time
-- of the commit, behind which its client may be told that they are lost, and refund. A clock of Redis
-- that was set back since it was sent, so that lane time stands still, tells nobody how late it is.
local function retake(at, op, fingerprint)
  if now < sent_at or not is_within(op.time_left) then return answer(OUTCOME.undecided) end
  local taken = {}
  for i = 1, #op.lines do
    local line = op.lines[i]
    local c = cell_of(stock_of(line.sku), line.field)
    if not c or c.a < line.units then
      for k = 1, #taken do add_available(taken[k], op.lines[k].units) end
      if c and is_unreadable(c) then return answer_unreadable(c) end
      return answer(OUTCOME.hold_lost)
    end
    add_available(c, -line.units)
    taken[i] = c
  end
  local hold = { state = STATE.committed, fingerprint = fingerprint, created = math.floor(now / 1000),
    version = 1, number = op.number, operations = '', lines = {} }
  local moves = {}
  for i = 1, #op.lines do
    local line, c = op.lines[i], taken[i]
    c.l = c.l + line.units
    moves[i] = struct.pack('>I2I2I4I4', i - 1, touch(c), line.units, 0)
    hold.lines[i] = { line = i - 1, sku = line.sku, requested = line.units,
      places = { { field = line.field, units = line.units } } }
  end
  log_commit(at, hold, op, true, moves)
  save_hold(at, encode_hold(hold))
  answer_record(OUTCOME.committed, false, at.bytes)
end

local function commit(at, hold, op)
  if not hold then
    if op.hold_epoch and op.hold_epoch < epoch then return retake(at, op, op.fingerprint) end
    return answer(OUTCOME.not_found)
  end
  local state = hold.state
  if state == STATE.held then return commit_held(at, hold, op) end
  if state == STATE.committed or state == STATE.closed then
    if hold.number == op.number then return answer_record(OUTCOME.committed, true, at.bytes) end
    return answer_record(state == STATE.closed and OUTCOME.already_closed or OUTCOME.already_committed,
      false, at.bytes)
  end
  if state == STATE.released then return answer_record(OUTCOME.already_released, false, at.bytes) end
  if op.hold_epoch then return retake(at, op, hold.fingerprint) end
  answer_record(OUTCOME.expired, false, at.bytes)
end

-- ---------------------------------------------------------------- release

local function end_hold(at, hold, state)
  hold.state = state
  save_hold(at, encode_hold(hold))
end

local function free_places(places)
  for i = 1, #places do
    local p = places[i]
    local c = place_cell(p)
    c.r = c.r - p.take
    add_available(c, p.take)
    p.units = p.units - p.take
  end
end

local function nothing_left(places)
  for i = 1, #places do if places[i].units > 0 then return false end end
  return true
end

local function remember(hold, key)
  if key ~= NO_KEY then hold.operations = hold.operations .. key end
  bump(hold)
end

local function release(at, hold, op)
  if not hold then return answer(OUTCOME.not_found) end
  local state = hold.state
  if state == STATE.released then return answer_record(OUTCOME.released, true, at.bytes) end
  if state == STATE.expired then return answer_record(OUTCOME.expired, false, at.bytes) end
  if state == STATE.closed then return answer_record(OUTCOME.already_closed, false, at.bytes) end
  if state == STATE.committed then return answer_record(OUTCOME.already_committed, false, at.bytes) end
  local places = all_places(hold)
  if not name_units(places, op.lines) then return answer(OUTCOME.exceeds_reservation) end
  if is_stuck(places) then return end
  free_places(places)
  remember(hold, op.key)
  local whole = nothing_left(places)
  log_settlement(3, at, hold, whole, op, places)
  if whole then end_hold(at, hold, STATE.released) else save_hold(at, encode_hold(hold)) end
  answer_record(OUTCOME.released, false, at.bytes)
end

-- ---------------------------------------------------------------- cancel, ship

local function fulfil(at, hold, op)
  if not hold then return answer(OUTCOME.not_found) end
  local done = op.kind == KIND.ship and OUTCOME.shipped or OUTCOME.cancelled
  local state = hold.state
  if state == STATE.released then return answer_record(OUTCOME.already_released, false, at.bytes) end
  if state == STATE.expired then return answer_record(OUTCOME.expired, false, at.bytes) end
  if state == STATE.held then return answer_record(OUTCOME.not_committed, false, at.bytes) end
  if state == STATE.closed then
    if not op.lines and hold.closed_by == op.kind then return answer_record(done, true, at.bytes) end
    return answer_record(OUTCOME.already_closed, false, at.bytes)
  end
  local places = all_places(hold)
  if not name_units(places, op.lines) then return answer(OUTCOME.exceeds_reservation) end
  if is_stuck(places) then return end
  for i = 1, #places do
    local p = places[i]
    local c = place_cell(p)
    c.l = c.l - p.take
    if op.kind == KIND.cancel then add_available(c, p.take) end
    p.units = p.units - p.take
  end
  remember(hold, op.key)
  local closed = nothing_left(places)
  log_settlement(op.kind == KIND.ship and 7 or 6, at, hold, closed, op, places)
  hold.closed_by = op.kind
  if closed then end_hold(at, hold, STATE.closed) else save_hold(at, encode_hold(hold)) end
  answer_record(done, false, at.bytes)
end

local OPERATIONS_MAX = 255

-- A reserve is weighed by who sends it; nobody knows how many cells a hold has before it is read. With
-- PLACES_MAX (reserve.lua) of one more, they stay below what an entry can count, and the script short.
local CELLS_MAX = 4000

local DONE = { [KIND.release] = OUTCOME.released, [KIND.cancel] = OUTCOME.cancelled,
  [KIND.ship] = OUTCOME.shipped }

local function settle(kind, flags, generation, bucket, id, pos)
  local op
  op, pos = read_settlement(kind, flags, pos)
  if touched_count >= CELLS_MAX then
    answer_not_yet()
    return pos
  end
  local at = find_hold(generation, bucket, id)
  if not at.bytes then at.bytes = op.adopt end
  local hold = at.bytes and parse_hold(at.bytes)
  if at.bytes and not hold then
    answer_unreadable_record(id)
    return pos
  end
  if hold and hold.state == STATE.operation then hold = nil end
  local seen = hold and seen_operation(hold, op.key)
  if seen == 'same' then
    answer_record(DONE[kind], true, at.bytes)
  elseif seen == 'other' then
    answer(OUTCOME.exists_with_different_payload)
  elseif hold and #hold.operations >= 8 * OPERATIONS_MAX then
    answer(OUTCOME.out_of_range)
  elseif kind == KIND.commit then
    commit(at, hold, op)
  elseif kind == KIND.release then
    release(at, hold, op)
  else
    fulfil(at, hold, op)
  end
  return pos
end

-- ---------------------------------------------------------------- extend, inspect

local SETTLED = { [STATE.committed] = OUTCOME.already_committed, [STATE.released] = OUTCOME.already_released,
  [STATE.expired] = OUTCOME.expired, [STATE.closed] = OUTCOME.already_closed }

local function extend(generation, bucket, id, pos)
  local ttl
  ttl, pos = struct.unpack('>I4', operations, pos)
  local at = find_hold(generation, bucket, id)
  local hold = at.bytes and parse_hold(at.bytes)
  if at.bytes and not hold then
    answer_unreadable_record(id)
  elseif not hold or hold.state == STATE.operation then
    answer(OUTCOME.not_found)
  elseif hold.state ~= STATE.held then
    answer_record(SETTLED[hold.state], false, at.bytes)
  else
    local latest = hold.created + hold_age_max
    local deadline = math.min(math.ceil((now + ttl * 1000) / 1000), latest)
    if hold.number >= latest then
      answer_record(OUTCOME.extend_limit_reached, false, at.bytes)
    elseif deadline <= hold.number then
      answer_record(OUTCOME.extended, true, at.bytes)
    else
      hold.number = deadline
      bump(hold)
      log_change(5, at, struct.pack('>I2I4', hold.version, deadline))
      save_hold(at, encode_hold(hold))
      add_due(deadline, at)
      answer_record(OUTCOME.extended, false, at.bytes)
    end
  end
  return pos
end

local function inspect(generation, bucket, id, pos)
  local at = find_hold(generation, bucket, id)
  if at.bytes and not parse_hold(at.bytes) then
    answer_unreadable_record(id)
  elseif at.bytes and string.byte(at.bytes) ~= STATE.operation then
    answer_record(OUTCOME.exists, false, at.bytes)
  else
    answer(OUTCOME.not_found)
  end
  return pos
end
