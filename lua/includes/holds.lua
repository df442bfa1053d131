-- What a batch writes of reservations, grouped by hash: their records, and when they are due.
-- A record's bytes: events/hold-codec.ts. Where it stands: domain/reservation-id.ts. A record over
-- LIMIT.cart_bytes stands in the twin hash `cart:`, and `hold:` keeps its head, so that one big cart
-- does not turn a bucket of small records into a hash table.
--
-- Gives: save_hold(at, bytes), write_holds(), add_due(second, at), write_due(); and for who has records
--        or references packed already: new_holds, group_of(groups, generation, bucket),
--        group_write(list, field, bytes), due_of(second), add_due_piece(list, piece, count); and a record
--        that is written by itself: add_record(key, field, bytes)

local dirty, dirty_count, due = {}, 0, {}

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

local function group_write(list, field, bytes)
  local n = list[0]
  list[n + 1], list[n + 2], list[0] = field, bytes, n + 2
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
local alone, alone_count = {}, 0

local function add_record(key, field, bytes)
  alone[alone_count + 1], alone[alone_count + 2], alone[alone_count + 3] = key, field, bytes
  alone_count = alone_count + 3
end

local function write_holds()
  -- First, because whoever came behind them has changed what they were.
  for i = 1, alone_count, 3 do redis_call('HSET', alone[i], alone[i + 1], alone[i + 2]) end
  local carts = {}
  for i = 1, dirty_count do
    local at = dirty[i]
    local bytes = at.bytes
    if #bytes > LIMIT.cart_bytes then
      group_write(group_of(carts, at.generation, at.bucket), at.field, bytes)
      bytes = string.char(string.byte(bytes) + LIMIT.cart_head_flag)
        .. string.sub(bytes, 2, LIMIT.cart_head_bytes)
    elseif at.cart then
      redis.call('HDEL', prefix .. 'cart:' .. at.generation .. ':' .. at.bucket, at.field)
    end
    group_write(group_of(new_holds, at.generation, at.bucket), at.field, bytes)
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

local function push_due(key, list)
  local from, refs = 1, 0
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
    local name = string.format('%d', second)
    redis.call('ZADD', prefix .. 'deadlines', name, name)
    push_due(prefix .. 'due:' .. name, list)
  end
end
