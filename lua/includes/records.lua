-- Reservation records: found, read, and packed as they are changed.
--
-- What stands where a record should and is none (somebody wrote over it) is found with its bytes, and
-- read_hold() says false; an operation that would rest on it is refused.
--
-- Gives: find_hold(generation, bucket, id), find_at(...), found_at(...), read_ahead(generation, bucket, ids),
--        has_room_to_read(bytes), read_hold(bytes), hold_..., work_to_settle(named), find_cells(named),
--        whole_moves(), encode_head(state, version, number), encode_body(operations, places),
--        encode_tombstone(bytes, state)
-- Wants: cells.lua and stocks.lua before it

-- @include fields

local found = {}

local function read_record(generation, bucket, field)
  local at = generation .. ':' .. bucket
  local bytes = redis.pcall('HGET', prefix .. 'hold:' .. at, field)
  -- The key is no hash.
  if type(bytes) == 'table' then return '', false end
  if bytes and (string.byte(bytes) or 0) >= LIMIT.cart_head_flag then
    local cart = redis.pcall('HGET', prefix .. 'cart:' .. at, field)
    -- The head itself when its cart is gone: then nobody can read it.
    return type(cart) == 'string' and cart or bytes, true
  end
  return bytes, false
end

-- Where the id's record stands, or would stand. Every field that it may get is there from the start,
-- because a table that grows is built anew.
local function found_at(generation, bucket, id, bytes, field)
  field = field or field_of(generation, bucket, id)
  local at = { id = id, field = field, bucket = bucket, generation = generation, bytes = bytes,
    cart = false, dirty = false }
  found[id] = at
  return at
end

-- Of this generation and no other, however old it is. An id that names no day may have a record in
-- several, each with its own place among `found`: what is changed is written at the end.
local function find_at(generation, bucket, id)
  local newest = found[id]
  local at = newest
  while at and at.generation ~= generation do at = at.other end
  if at then return at end
  at = found_at(generation, bucket, id, false)
  at.bytes, at.cart = read_record(generation, bucket, at.field)
  at.other = newest
  return at
end

local function find_hold(generation, bucket, id)
  local at = found[id]
  if at then return at end
  if generation > 0 and today - generation <= LIMIT.generations_back then
    return find_at(generation, bucket, id)
  end
  -- An id that names neither day: whole in both.
  at = found_at(today, bucket, id, false)
  at.bytes, at.cart = read_record(today, bucket, at.field)
  if not at.bytes then
    local bytes, cart = read_record(today - 1, bucket, at.field)
    if bytes then at.bytes, at.cart, at.generation = bytes, cart, today - 1 end
  end
  return at
end

-- Reads records of one bucket at once; those that this cannot give are read when they are looked for.
local function read_ahead(generation, bucket, ids)
  if generation == 0 or today - generation > LIMIT.generations_back then return end
  local fields = fields_of(generation, bucket, ids)
  local all = redis_pcall('HMGET', prefix .. 'hold:' .. generation .. ':' .. bucket, unpack(fields))
  if all.err then return end
  for i = 1, #ids do
    local id, bytes = ids[i], all[i]
    if not found[id] and (not bytes or (string_byte(bytes) or 0) < LIMIT.cart_head_flag) then
      found_at(generation, bucket, id, bytes, fields[i])
    end
  end
end

-- The record that was read last: nearly every settlement reads one, and none needs two.
local hold_state, hold_fingerprint, hold_created, hold_version, hold_number, hold_closed_by
-- The keys of its operations; and its body, packed and read, if it is held or committed.
local hold_operations, hold_packed, hold_body

-- A held or committed record is a head (state, fingerprint, created, version, number) and a body, which
-- has the keys and the lines. Holds of the same cart have the same body, and a batch is mostly of few
-- carts: each is read once. A body: its places in order, `operations`, and what was made of it.
local HEAD_BYTES, TOMBSTONE_BYTES, CLOSED_BYTES, BODY_BYTES_MIN = 19, 13, 19, 3
-- So many places that are read, or of a body that was met before, are as much work as one.
local PLACES_AT_ONCE = 4
local bodies = {}

-- A place takes no fewer bytes than six.
local function has_room_to_read(bytes)
  return has_room(1 + (bytes and #bytes or 0) / (6 * PLACES_AT_ONCE))
end

-- What an operation on the hold that was read will do at most. `named`: lines that it names.
local function work_to_settle(named)
  local lines = named and #named or 0
  -- Each may be a cell that is taken again.
  if hold_state ~= STATE.held and hold_state ~= STATE.committed then return 1 + 2 * lines end
  if hold_body.is_found and not named then return 1 + #hold_body / PLACES_AT_ONCE end
  return 1 + lines + (named and 3 or 2) * #hold_body
end

-- Dies where the bytes end early; false when there are too many.
local function unpack_body(bytes)
  local body, n = { operations = '', is_found = false, moves = false, kept = false }, 0
  local count = string_byte(bytes)
  body.operations = string_sub(bytes, 2, 1 + 8 * count)
  local lines, pos = struct_unpack('>I2', bytes, 2 + 8 * count)
  for _ = 1, lines do
    local line, sku, wanted
    line, sku, wanted, count, pos = struct_unpack('>I2Bc0I4B', bytes, pos)
    for _ = 1, count do
      local field, units
      field, units, pos = struct_unpack('>Bc0I4', bytes, pos)
      n = n + 1
      body[n] = { line = line, sku = sku, wanted = wanted, field = field, units = units,
        take = units, left = 0, cell = false }
    end
  end
  return pos == #bytes + 1 and body
end

local function read_body(bytes)
  local is_whole, body = pcall(unpack_body, bytes)
  body = is_whole and body
  if body then work = work + #body / PLACES_AT_ONCE end
  bodies[bytes] = body
  return body
end

-- Whether the bytes are a record; then hold_state and the others are of it.
local function read_hold(bytes)
  local length = #bytes
  if length < TOMBSTONE_BYTES then return false end
  local state = string_byte(bytes)
  hold_state = state
  if state == STATE.held or state == STATE.committed then
    if length < HEAD_BYTES + BODY_BYTES_MIN then return false end
    hold_fingerprint, hold_created, hold_version, hold_number = struct_unpack('>c8I4I2I4', bytes, 2)
    local packed = string_sub(bytes, HEAD_BYTES + 1)
    local body = bodies[packed]
    if body == nil then body = read_body(packed) end
    if not body then return false end
    hold_packed, hold_body, hold_operations = packed, body, body.operations
    return true
  end
  hold_fingerprint, hold_operations = string_sub(bytes, 2, 9), ''
  if state == STATE.closed then
    if length < CLOSED_BYTES then return false end
    local count
    hold_number, hold_closed_by, count = struct_unpack('>I4BB', bytes, TOMBSTONE_BYTES + 1)
    hold_operations = string_sub(bytes, CLOSED_BYTES + 1)
    return length == CLOSED_BYTES + 8 * count
  end
  return length == TOMBSTONE_BYTES
    and (state == STATE.released or state == STATE.expired or state == STATE.operation)
end

-- Finds the cells of the hold that was read; gives one that cannot be read. `named`: only those of which
-- units are taken.
local function find_cells(named)
  local body = hold_body
  if body.is_found then
    work = work + #body / PLACES_AT_ONCE
    return
  end
  work = work + #body
  for i = 1, #body do
    local place = body[i]
    if not named or place.take > 0 then
      local c = cell_of_hold(stock_of(place.sku), place.field)
      if is_unreadable(c) then return c end
      place.cell = c
    end
  end
  body.is_found = not named
end

-- All units of the hold leave its places: what the entry says of it, and that the cells are changed.
local function whole_moves()
  local body = hold_body
  if not body.moves then
    local moves = { struct_pack('>I2', #body) }
    for i = 1, #body do
      local place = body[i]
      moves[i + 1] = struct_pack('>I2I2I4', place.line, touch(place.cell), place.units)
    end
    body.moves = table.concat(moves)
  end
  return body.moves
end

local function encode_tombstone(bytes, state)
  return string.char(state) .. string_sub(bytes, 2, TOMBSTONE_BYTES)
end

local function encode_head(state, version, number)
  return struct_pack('>Bc8I4I2I4', state, hold_fingerprint, hold_created, version, number)
end

-- Of the places, what is `left` there; lines and places of which nothing is are left out.
local function encode_body(operations, places)
  local out, n, lines, i = {}, 0, 0, 1
  while i <= #places do
    local first, packed, count = places[i], {}, 0
    while i <= #places and places[i].line == first.line do
      local field, units = places[i].field, places[i].left
      if units > 0 then
        count = count + 1
        packed[count] = struct_pack('>Bc0I4', #field, field, units)
      end
      i = i + 1
    end
    if count > 0 then
      lines = lines + 1
      out[n + 1] = struct_pack('>I2Bc0I4B', first.line, #first.sku, first.sku, first.wanted, count)
      out[n + 2] = table.concat(packed)
      n = n + 2
    end
  end
  return string.char(#operations / 8) .. operations .. struct_pack('>I2', lines) .. table.concat(out)
end
