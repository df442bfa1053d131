--[[
Puts one thing right that reconcile found wrong, all of it or nothing: only where Redis still is as it
was when the repair was planned. The change says to the log what was done.

KEYS[1]  meta
ARGV[1]  context: I8 epoch, I8 seq seen, c8 nonce for the entry
ARGV[2]  u16 n products to define: u8+ SKU
         u16 n cells: u8+ SKU, u8+ field, u8 how, then
           1 put     u32+ bytes as seen (none: empty), u8+ bytes to be
           2 move    I8 epoch, I8 seq at which it was seen (0: no matter), i8 available, i8 reserved, i8
                     allocated: by so many units, whatever was sold meanwhile
           3 remove  u32+ bytes as seen; it has no place in the entry
         u16 n records: u16 generation, u24 bucket, u8+ id, u32+ bytes as seen (none: empty), u8 how, then
           1 put     u32+ bytes to be, u32 deadline s or 0
           2 remove
           3 keep    u32 deadline s
         u16 n elements: u32 second, u32+ bytes as seen, u32+ bytes to be (empty: it goes)
         u16 n seconds that the sorted set lacks: u32 second
         u32+ change, as it stands in the entry
Touches  log, stock:*, hold:*, cart:*, deadlines, due:*
Returns  >B 1, B reason when fenced; else >B 0, I8 epoch, I8 seq, I8 lane time, i8 offset,
         B 1 when it is done, B 0 when Redis has moved on: then nothing was written
Variants repair: flags=allow-oom
]]
-- @include fence
-- @include cells
-- @include stocks
-- @include fields
-- @include holds
-- @include entry

local PUT, MOVE, RECORD_REMOVE = 1, 2, 2
local plan, pos = ARGV[2], 1

local function read(format)
  local a, b, c, d, e, f = struct.unpack(format, plan, pos)
  pos = f or e or d or c or b
  return a, b, c, d, e
end

local function moved_on() return stamp() .. '\0' end

-- What was planned from a look at a position is void when a repair came behind it: two reconcilers that
-- see the same drift must not both undo it. A lane that was recovered since is looked at again.
local function is_repaired_since(seen_epoch_then, seen_seq_then)
  if seen_epoch_then ~= epoch then return true end
  local last = redis.call('HGET', KEYS[1], 'repaired')
  local e, s = string.match(last or '0-0', '(%d+)-(%d+)')
  e, s = tonumber(e), tonumber(s)
  return e > seen_epoch_then or (e == seen_epoch_then and s > seen_seq_then)
end

local products = {}
for i = 1, (read('>I2')) do
  products[i] = read('>Bc0')
  add_change(struct.pack('>BBc0', 9, #products[i], products[i]))
end

local function put_cell(s, field)
  local seen = read('>I4c0')
  local bytes = read('>Bc0')
  if (redis.call('HGET', s.key, field) or '') ~= seen then return false end
  local c = decode_cell(s, field, bytes)
  -- `touch` counts the write.
  c.v = c.v - 1
  touch(c)
  return true
end

local function move_cell(s, field)
  local at_epoch, at_seq, a, r, l = read('>I8I8i8i8i8')
  local c = cell_of(s, field)
  if not c or is_unreadable(c) then return false end
  if at_epoch > 0 and is_repaired_since(at_epoch, at_seq) then return false end
  c.a, c.r, c.l = c.a + a, c.r + r, c.l + l
  if (a < 0 and c.a < 0) or (r < 0 and c.r < 0) or (l < 0 and c.l < 0) then return false end
  touch(c)
  return true
end

local removed_cells = {}
for _ = 1, (read('>I2')) do
  local s = stock_of((read('>Bc0')))
  local field, how = read('>Bc0'), read('>B')
  if how == PUT then
    if not put_cell(s, field) then return moved_on() end
  elseif how == MOVE then
    if not move_cell(s, field) then return moved_on() end
  else
    local seen = read('>I4c0')
    if redis.call('HGET', s.key, field) ~= seen then return moved_on() end
    removed_cells[#removed_cells + 1] = { s.key, field }
  end
end

local removed_records = {}
for _ = 1, (read('>I2')) do
  local at = {}
  at.generation, at.bucket, at.id = read('>I2I3Bc0')
  at.field = field_of(at.generation, at.bucket, at.id)
  local seen, how = read('>I4c0'), read('>B')
  local place = at.generation .. ':' .. at.bucket
  local head = redis.call('HGET', prefix .. 'hold:' .. place, at.field)
  local bytes = head
  if head and #head > 0 and string.byte(head) >= LIMIT.cart_head_flag then
    at.cart = true
    bytes = redis.call('HGET', prefix .. 'cart:' .. place, at.field) or head
  end
  if (bytes or '') ~= seen then return moved_on() end
  if how == PUT then
    save_hold(at, (read('>I4c0')))
  elseif how == RECORD_REMOVE then
    removed_records[#removed_records + 1] = { place, at.field }
  end
  if how ~= RECORD_REMOVE then
    local deadline = read('>I4')
    if deadline > 0 then add_due(deadline, at) end
  end
end

local elements, seconds = {}, {}
for i = 1, (read('>I2')) do
  local key = prefix .. 'due:' .. read('>I4')
  local seen, to_be = read('>I4c0'), read('>I4c0')
  local index = redis.call('LPOS', key, seen)
  if not index then return moved_on() end
  elements[i] = { key, index, seen, to_be }
end
for i = 1, (read('>I2')) do
  seconds[i] = read('>I4')
  if redis.call('EXISTS', prefix .. 'due:' .. seconds[i]) == 0 then return moved_on() end
end
add_change((read('>I4c0')))

append_entry(1)
for i = 1, #products do redis.call('HSET', stock_of(products[i]).key, '', '1') end
write_cells()
for i = 1, #removed_cells do redis.call('HDEL', unpack(removed_cells[i])) end
write_holds()
for i = 1, #removed_records do
  redis.call('HDEL', prefix .. 'hold:' .. removed_records[i][1], removed_records[i][2])
  redis.call('HDEL', prefix .. 'cart:' .. removed_records[i][1], removed_records[i][2])
end
write_due()
for i = 1, #elements do
  local key, index, seen, to_be = unpack(elements[i])
  if to_be == '' then redis.call('LREM', key, 1, seen) else redis.call('LSET', key, index, to_be) end
end
for i = 1, #seconds do redis.call('ZADD', prefix .. 'deadlines', seconds[i], seconds[i]) end
redis.call('HSET', KEYS[1], 'repaired', string.format('%.0f-%.0f', epoch, seq + 1))
finish_entry()
return stamp() .. '\1'
