-- Decides one commit, release, cancel, ship, extend or inspect; changes only Lua's memory.
-- Gives: settle(kind, flags, number, attributes, at, pos) -> pos behind, extend(ttl, at), inspect(at)

local LINES, ADOPT, RETAKE, KEYED = 1, 2, 4, 8
local NO_KEY = string.rep('\0', 8)

-- What an operation says besides, `false` where it does not.
local key, named, adopted, hold_epoch, retake_fingerprint, time_left

local function has(flags, flag) return math.floor(flags / flag) % 2 == 1 end

local function read_lines(pos)
  local count
  count, pos = struct_unpack('>I2', operations, pos)
  local lines = {}
  for i = 1, count do
    local sku, field, units
    sku, field, units, pos = struct_unpack('>I2I2I4', operations, pos)
    lines[i] = { sku = skus[sku + 1], field = fields[field + 1], units = units }
  end
  return lines, pos
end

local function read_settlement(flags, pos)
  key, named, adopted, hold_epoch = NO_KEY, false, false, false
  if flags == 0 then return pos end
  if has(flags, KEYED) then key, pos = struct_unpack('>c8', operations, pos) end
  if has(flags, RETAKE) then
    hold_epoch, retake_fingerprint, time_left, pos = struct_unpack('>I8c8I4', operations, pos)
  end
  if has(flags, ADOPT) then adopted, pos = struct_unpack('>I4c0', operations, pos) end
  if has(flags, LINES) then named, pos = read_lines(pos) end
  return pos
end

local function sku_of(place) return place.sku end
local function cell_name_of(place) return place.sku .. '/' .. place.field end

-- The places by name, each name's in their order: to look for each line at all of them would take a cart
-- of a thousand lines a million steps.
local function group_places(name_of)
  local groups = {}
  for i = 1, #hold_body do
    local place = hold_body[i]
    local name = name_of(place)
    local group = groups[name]
    if group then group[#group + 1] = place else groups[name] = { place } end
  end
  return groups
end

-- Distributes the named units over the places in order: `take` of each, and what is `left` there. False:
-- more than there is.
local function name_units()
  local places, by_cell, by_sku = hold_body, nil, nil
  work = work + #places + #named
  for i = 1, #places do places[i].take, places[i].left = 0, places[i].units end
  for i = 1, #named do
    local wanted, open, candidates = named[i], named[i].units, nil
    if wanted.field == '' then
      by_sku = by_sku or group_places(sku_of)
      candidates = by_sku[wanted.sku] or {}
    else
      by_cell = by_cell or group_places(cell_name_of)
      candidates = by_cell[cell_name_of(wanted)] or {}
    end
    for k = 1, #candidates do
      local p = candidates[k]
      local units = math.min(open, p.left)
      p.take, p.left = p.take + units, p.left - units
      open = open - units
    end
    if open > 0 then return false end
  end
  return true
end

-- nil: not known; 'same': a replay; 'other': the key was used with other lines.
local function seen_operation()
  if key == NO_KEY then return nil end
  local known = hold_operations
  for i = 1, #known, 8 do
    if string_sub(known, i, i + 3) == string_sub(key, 1, 4) then
      return string_sub(known, i + 4, i + 7) == string_sub(key, 5, 8) and 'same' or 'other'
    end
  end
end

local function version_after() return (hold_version + 1) % 65536 end

-- ---------------------------------------------------------------- commit

local function log_commit(at, version, number, retaken, attributes, moves)
  add_change(struct_pack('>BBc0I2I2I4Bc8I2c0', 2, #at.id, at.id, at.generation, version, number, retaken,
    hold_fingerprint, #attributes, attributes))
  add_piece(moves)
end

-- Of a hold that is committed as it is.
local function kept_moves()
  local body = hold_body
  if not body.kept then
    local moves = { struct_pack('>I2', #body) }
    for i = 1, #body do
      local place = body[i]
      moves[i + 1] = struct_pack('>I2I2I4I4', place.line, touch(place.cell), place.units, 0)
    end
    body.kept = table.concat(moves)
  end
  return body.kept
end

-- Commits what is named, frees the rest; gives the moves and the new body.
local function commit_named()
  local places, moves, kept = hold_body, {}, {}
  for i = 1, #places do
    local p = places[i]
    local c, taken, freed = p.cell, p.take, p.left
    c.r, c.l = c.r - p.units, c.l + taken
    add_available(c, freed)
    moves[i] = struct_pack('>I2I2I4I4', p.line, touch(c), taken, freed)
    kept[i] = { line = p.line, sku = p.sku, wanted = p.wanted, field = p.field, left = taken }
  end
  return struct_pack('>I2', #places) .. table.concat(moves), encode_body(hold_operations, kept)
end

local function commit_held(at, number, attributes)
  if named and not name_units() then return answer(OUTCOME.exceeds_reservation) end
  local unreadable = find_cells()
  if unreadable then return answer_unreadable(unreadable) end
  local moves, packed, version = nil, hold_packed, version_after()
  if named then
    moves, packed = commit_named()
  else
    local body = hold_body
    moves = kept_moves()
    for i = 1, #body do
      local c, units = body[i].cell, body[i].units
      c.r, c.l = c.r - units, c.l + units
    end
  end
  log_commit(at, version, number, 0, attributes, moves)
  save_hold(at, encode_head(STATE.committed, version, number) .. packed)
  answer_record(OUTCOME.committed, false, at.bytes)
end

-- The hold is gone: takes the units that the lines name again, all or none; and only within the time
-- of the commit, behind which its client may be told that they are lost, and refund. A clock of Redis
-- that was set back since it was sent, so that lane time stands still, tells nobody how late it is.
local function retake(at, number, attributes, fingerprint)
  if now < sent_at or not is_within(time_left) then return answer(OUTCOME.undecided) end
  local taken, moves, places = {}, {}, {}
  work = work + #named
  for i = 1, #named do
    local line = named[i]
    local c = cell_of(stock_of(line.sku), line.field)
    if not c or c.a < line.units then
      for k = 1, #taken do add_available(taken[k], named[k].units) end
      if c and is_unreadable(c) then return answer_unreadable(c) end
      return answer(OUTCOME.hold_lost)
    end
    add_available(c, -line.units)
    taken[i] = c
  end
  for i = 1, #named do
    local line, c = named[i], taken[i]
    c.l = c.l + line.units
    moves[i] = struct_pack('>I2I2I4I4', i - 1, touch(c), line.units, 0)
    places[i] = { line = i - 1, sku = line.sku, wanted = line.units, field = line.field, left = line.units }
  end
  hold_fingerprint, hold_created = fingerprint, math.floor(now / 1000)
  log_commit(at, 1, number, 1, attributes, struct_pack('>I2', #moves) .. table.concat(moves))
  save_hold(at, encode_head(STATE.committed, 1, number) .. encode_body('', places))
  answer_record(OUTCOME.committed, false, at.bytes)
end

local function commit(at, is_there, number, attributes)
  if not is_there then
    if hold_epoch and hold_epoch < epoch then return retake(at, number, attributes, retake_fingerprint) end
    return answer(OUTCOME.not_found)
  end
  local state = hold_state
  if state == STATE.held then return commit_held(at, number, attributes) end
  if state == STATE.committed or state == STATE.closed then
    if hold_number == number then return answer_record(OUTCOME.committed, true, at.bytes) end
    return answer_record(state == STATE.closed and OUTCOME.already_closed or OUTCOME.already_committed,
      false, at.bytes)
  end
  if state == STATE.released then return answer_record(OUTCOME.already_released, false, at.bytes) end
  if hold_epoch then return retake(at, number, attributes, hold_fingerprint) end
  answer_record(OUTCOME.expired, false, at.bytes)
end

-- ---------------------------------------------------------------- release, cancel, ship

local DONE = { [KIND.release] = OUTCOME.released, [KIND.cancel] = OUTCOME.cancelled,
  [KIND.ship] = OUTCOME.shipped }
local CHANGE = { [KIND.release] = 3, [KIND.cancel] = 6, [KIND.ship] = 7 }

local function move_out(kind, c, units)
  if kind == KIND.release then c.r = c.r - units else c.l = c.l - units end
  if kind ~= KIND.ship then add_available(c, units) end
end

-- Gives the moves, and how many units are left.
local function move_named(kind)
  local places, moves, left = hold_body, {}, 0
  for i = 1, #places do
    local p = places[i]
    left = left + p.left
    if p.take > 0 then
      move_out(kind, p.cell, p.take)
      moves[#moves + 1] = struct_pack('>I2I2I4', p.line, touch(p.cell), p.take)
    end
  end
  return struct_pack('>I2', #moves) .. table.concat(moves), left
end

-- Takes what is named, or all, out of the places; when nothing is left there, the record ends.
local function take_out(kind, at, attributes)
  if named and not name_units() then return answer(OUTCOME.exceeds_reservation) end
  local unreadable = find_cells(named)
  if unreadable then return answer_unreadable(unreadable) end
  local body, version, left, moves = hold_body, version_after(), 0, nil
  if named then
    moves, left = move_named(kind)
  else
    moves = whole_moves()
    for i = 1, #body do move_out(kind, body[i].cell, body[i].units) end
  end
  local operations = hold_operations
  if key ~= NO_KEY then operations = operations .. key end
  add_change(struct_pack('>BBc0I2I2Bc8I2c0', CHANGE[kind], #at.id, at.id, at.generation, version,
    left == 0 and 1 or 0, key, #attributes, attributes))
  add_piece(moves)
  if left > 0 then
    save_hold(at, encode_head(hold_state, version, hold_number) .. encode_body(operations, body))
  elseif kind == KIND.release then
    save_hold(at, encode_tombstone(at.bytes, STATE.released))
  else
    save_hold(at, encode_tombstone(at.bytes, STATE.closed)
      .. struct_pack('>I4BB', hold_number, kind, #operations / 8) .. operations)
  end
  answer_record(DONE[kind], false, at.bytes)
end

local function release(at, is_there, attributes)
  if not is_there then return answer(OUTCOME.not_found) end
  local state = hold_state
  if state == STATE.released then return answer_record(OUTCOME.released, true, at.bytes) end
  if state == STATE.expired then return answer_record(OUTCOME.expired, false, at.bytes) end
  if state == STATE.closed then return answer_record(OUTCOME.already_closed, false, at.bytes) end
  if state == STATE.committed then return answer_record(OUTCOME.already_committed, false, at.bytes) end
  take_out(KIND.release, at, attributes)
end

local function fulfil(kind, at, is_there, attributes)
  if not is_there then return answer(OUTCOME.not_found) end
  local state = hold_state
  if state == STATE.released then return answer_record(OUTCOME.already_released, false, at.bytes) end
  if state == STATE.expired then return answer_record(OUTCOME.expired, false, at.bytes) end
  if state == STATE.held then return answer_record(OUTCOME.not_committed, false, at.bytes) end
  if state == STATE.closed then
    if not named and hold_closed_by == kind then return answer_record(DONE[kind], true, at.bytes) end
    return answer_record(OUTCOME.already_closed, false, at.bytes)
  end
  take_out(kind, at, attributes)
end

local OPERATIONS_MAX = 255

local function settle(kind, flags, number, attributes, at, pos)
  pos = read_settlement(flags, pos)
  if not at.bytes then at.bytes = adopted end
  if not has_room_to_read(at.bytes) then
    answer_not_yet()
    return pos
  end
  local is_there = at.bytes and read_hold(at.bytes)
  if at.bytes and not is_there then
    answer_unreadable_record(at.id)
    return pos
  end
  if not has_room(is_there and work_to_settle(named) or 1 + 2 * (named and #named or 0)) then
    answer_not_yet()
    return pos
  end
  work, is_begun = work + 1, true
  if is_there and hold_state == STATE.operation then is_there = false end
  local seen = is_there and seen_operation()
  if seen == 'same' then
    answer_record(DONE[kind], true, at.bytes)
  elseif seen == 'other' then
    answer(OUTCOME.exists_with_different_payload)
  elseif is_there and #hold_operations >= 8 * OPERATIONS_MAX then
    answer(OUTCOME.out_of_range)
  elseif kind == KIND.commit then
    commit(at, is_there, number, attributes)
  elseif kind == KIND.release then
    release(at, is_there, attributes)
  else
    fulfil(kind, at, is_there, attributes)
  end
  return pos
end

-- ---------------------------------------------------------------- extend, inspect

local SETTLED = { [STATE.committed] = OUTCOME.already_committed, [STATE.released] = OUTCOME.already_released,
  [STATE.expired] = OUTCOME.expired, [STATE.closed] = OUTCOME.already_closed }

local function extend(ttl, at)
  if not at.bytes then return answer(OUTCOME.not_found) end
  if not read_hold(at.bytes) then return answer_unreadable_record(at.id) end
  if hold_state == STATE.operation then return answer(OUTCOME.not_found) end
  if hold_state ~= STATE.held then return answer_record(SETTLED[hold_state], false, at.bytes) end
  local latest = hold_created + hold_age_max
  local deadline = math.min(math.ceil((now + ttl * 1000) / 1000), latest)
  if hold_number >= latest then
    answer_record(OUTCOME.extend_limit_reached, false, at.bytes)
  elseif deadline <= hold_number then
    answer_record(OUTCOME.extended, true, at.bytes)
  else
    local version = version_after()
    add_change(struct_pack('>BBc0I2I2I4', 5, #at.id, at.id, at.generation, version, deadline))
    save_hold(at, encode_head(STATE.held, version, deadline) .. hold_packed)
    add_due(deadline, at)
    answer_record(OUTCOME.extended, false, at.bytes)
  end
end

local function inspect(at)
  if at.bytes and not read_hold(at.bytes) then
    answer_unreadable_record(at.id)
  elseif at.bytes and hold_state ~= STATE.operation then
    answer_record(OUTCOME.exists, false, at.bytes)
  else
    answer(OUTCOME.not_found)
  end
end
