-- Reservation records: found, read, changed in Lua's memory, written once, grouped by hash.
-- A record's bytes: events/hold-codec.ts. Where it stands: domain/reservation-id.ts. A record over
-- LIMIT.cart_bytes stands in the twin hash `cart:`, and `hold:` keeps its head, so that one big cart
-- does not turn a bucket of small records into a hash table.
--
-- What stands where a record should and is none (somebody wrote over it) is found with its bytes, and
-- parse_hold() says nil; an operation that would rest on it is refused.
--
-- Gives: find_hold(generation, bucket, id), read_ahead(generation, bucket, ids), parse_hold(bytes),
--        encode_hold(hold), save_hold(at, bytes), new_holds, write_holds(), add_due(second, at),
--        write_due(); and for who has references packed already: due_of(second),
--        add_due_piece(list, piece, count)

local found, dirty, dirty_count, due = {}, {}, 0, {}

local function read_record(generation, bucket, id)
  local at = generation .. ':' .. bucket
  local bytes = redis.pcall('HGET', prefix .. 'hold:' .. at, id)
  -- The key is no hash.
  if type(bytes) == 'table' then return '', false end
  if bytes and (string.byte(bytes) or 0) >= LIMIT.cart_head_flag then
    local cart = redis.pcall('HGET', prefix .. 'cart:' .. at, id)
    -- The head itself when its cart is gone: then nobody can read it.
    return type(cart) == 'string' and cart or bytes, true
  end
  return bytes, false
end

-- Where the id's record stands, or would stand: { generation, bucket, id, bytes or nil }.
local function find_hold(generation, bucket, id)
  local at = found[id]
  if at then return at end
  at = { id = id, bucket = bucket, generation = generation }
  found[id] = at
  if generation > 0 and today - generation <= LIMIT.generations_back then
    at.bytes, at.cart = read_record(generation, bucket, id)
    return at
  end
  at.generation = today
  at.bytes, at.cart = read_record(today, bucket, id)
  if not at.bytes then
    local bytes, cart = read_record(today - 1, bucket, id)
    if bytes then at.bytes, at.cart, at.generation = bytes, cart, today - 1 end
  end
  return at
end

-- Reads records of one bucket at once; those that this cannot give are read when they are looked for.
local function read_ahead(generation, bucket, ids)
  if generation == 0 or today - generation > LIMIT.generations_back then return end
  local all = redis_pcall('HMGET', prefix .. 'hold:' .. generation .. ':' .. bucket, unpack(ids))
  if all.err then return end
  for i = 1, #ids do
    local id, bytes = ids[i], all[i]
    if not found[id] and (not bytes or (string_byte(bytes) or 0) < LIMIT.cart_head_flag) then
      found[id] = { id = id, bucket = bucket, generation = generation, bytes = bytes, cart = false }
    end
  end
end

-- Dies where the bytes end early; nil when they are no record of any state, or too many.
local function unpack_hold(bytes)
  local state, fingerprint, created, pos = struct.unpack('>Bc8I4', bytes)
  local h = { state = state, fingerprint = fingerprint, created = created, operations = '' }
  if state == STATE.closed then
    local count
    h.number, h.closed_by, count, pos = struct.unpack('>I4BB', bytes, pos)
    h.operations = string.sub(bytes, pos, pos + 8 * count - 1)
    pos = pos + 8 * count
  elseif state == STATE.held or state == STATE.committed then
    local count, lines
    h.version, h.number, count, pos = struct.unpack('>I2I4B', bytes, pos)
    h.operations = string.sub(bytes, pos, pos + 8 * count - 1)
    lines, pos = struct.unpack('>I2', bytes, pos + 8 * count)
    h.lines = {}
    for i = 1, lines do
      local line = { places = {} }
      line.line, line.sku, line.requested, count, pos = struct.unpack('>I2Bc0I4B', bytes, pos)
      for k = 1, count do
        local place = { line = line.line, sku = line.sku }
        place.field, place.units, pos = struct.unpack('>Bc0I4', bytes, pos)
        line.places[k] = place
      end
      h.lines[i] = line
    end
  elseif state ~= STATE.released and state ~= STATE.expired and state ~= STATE.operation then
    return nil
  end
  return pos == #bytes + 1 and h or nil
end

local function parse_hold(bytes)
  local is_whole, hold = pcall(unpack_hold, bytes)
  return is_whole and hold or nil
end

local function encode_tombstone(h)
  local bytes = struct.pack('>Bc8I4', h.state, h.fingerprint, h.created)
  if h.state == STATE.closed then
    bytes = bytes .. struct.pack('>I4BB', h.number, h.closed_by, #h.operations / 8) .. h.operations
  end
  return bytes
end

-- Lines and places without units are left out.
local function encode_hold(h)
  if h.state ~= STATE.held and h.state ~= STATE.committed then return encode_tombstone(h) end
  local out, n, lines = {}, 0, 0
  for i = 1, #h.lines do
    local line, places, count = h.lines[i], {}, 0
    for k = 1, #line.places do
      local place = line.places[k]
      if place.units > 0 then
        count = count + 1
        places[count] = struct.pack('>Bc0I4', #place.field, place.field, place.units)
      end
    end
    if count > 0 then
      lines = lines + 1
      out[n + 1] = struct.pack('>I2Bc0I4B', line.line, #line.sku, line.sku, line.requested, count)
      out[n + 2] = table.concat(places)
      n = n + 2
    end
  end
  return struct.pack('>Bc8I4I2I4B', h.state, h.fingerprint, h.created, h.version, h.number,
    #h.operations / 8) .. h.operations .. struct.pack('>I2', lines) .. table.concat(out)
end

local function save_hold(at, bytes)
  at.bytes = bytes
  if not at.dirty then
    at.dirty = true
    dirty_count = dirty_count + 1
    dirty[dirty_count] = at
  end
end

-- What one HSET writes: field, value, field, value, ..., and their number at [0].
local function group_of(groups, generation, bucket)
  local place = generation * 16777216 + bucket
  local list = groups[place]
  if not list then
    list = { [0] = 0, at = string.format('%d:%d', generation, bucket) }
    groups[place] = list
  end
  return list
end

local function group_write(list, id, bytes)
  local n = list[0]
  list[n + 1], list[n + 2], list[0] = id, bytes, n + 2
end

-- unpack() stays far below Lua's limit of 8,000.
local function write_groups(name, groups)
  for _, list in pairs(groups) do
    for i = 1, list[0], 4000 do
      redis.call('HSET', prefix .. name .. list.at, unpack(list, i, math.min(i + 3999, list[0])))
    end
  end
end

local new_holds = {}

local function write_holds()
  local carts = {}
  for i = 1, dirty_count do
    local at = dirty[i]
    local bytes = at.bytes
    if #bytes > LIMIT.cart_bytes then
      group_write(group_of(carts, at.generation, at.bucket), at.id, bytes)
      bytes = string.char(string.byte(bytes) + LIMIT.cart_head_flag)
        .. string.sub(bytes, 2, LIMIT.cart_head_bytes)
    elseif at.cart then
      redis.call('HDEL', prefix .. 'cart:' .. at.generation .. ':' .. at.bucket, at.id)
    end
    group_write(group_of(new_holds, at.generation, at.bucket), at.id, bytes)
  end
  write_groups('hold:', new_holds)
  write_groups('cart:', carts)
end

-- Deadlines: a list a second, each element up to LIMIT.due_refs references, behind a sorted set
-- of seconds. A reference is looked at when its second comes, never removed before: the record
-- decides.

-- What goes into a second's list: pieces, and how many references stand in each.
local function due_of(second)
  local list = due[second]
  if not list then
    list = { pieces = {}, counts = {}, n = 0 }
    due[second] = list
  end
  return list
end

local function add_due_piece(list, piece, count)
  local n = list.n + 1
  list.pieces[n], list.counts[n], list.n = piece, count, n
end

local function add_due(second, at)
  add_due_piece(due_of(second), struct.pack('>I2I3Bc0', at.generation, at.bucket, #at.id, at.id), 1)
end

local function push_due(second, list)
  local key, from, refs = prefix .. 'due:' .. second, 1, 0
  for i = 1, list.n + 1 do
    local count = list.counts[i]
    if not count or refs + count > LIMIT.due_refs then
      -- To concatenate one piece would make it anew.
      redis.call('RPUSH', key, from == i - 1 and list.pieces[from]
        or table.concat(list.pieces, '', from, i - 1))
      from, refs = i, 0
    end
    refs = refs + (count or 0)
  end
end

local function write_due()
  for second, list in pairs(due) do
    redis.call('ZADD', prefix .. 'deadlines', second, second)
    push_due(second, list)
  end
end
