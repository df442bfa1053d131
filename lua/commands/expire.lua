--[[
Gives the units of expired holds back, one bounded slice, in one entry of the log. When nothing was
written for a second and holds live, it writes a tick, so that a promoted replica knows lane time.
A hold that cannot be read, or one of whose cells cannot, is put off: its reference moves to a later
second, the others go on.

KEYS[1]  meta
ARGV[1]  context: I8 epoch, I8 seq seen, c8 nonce for the entry, I4 work at most (includes/cells.lua)
Touches  log, deadlines, stock:*, hold:*, cart:*, due:*
Returns  >B 1, B reason when fenced; else >B 0, I8 epoch, I8 seq, I8 lane time, i8 offset,
         I4 holds that expired, B 1 when more is due at once, I4 references that were put off, B n
         of what cannot be read, a few of them: u8+ SKU, u8+ field, or no SKU, u8+ id of a record;
         I4 work that was done
Variants expire: flags=allow-oom
]]
-- @include fence
-- @include cells
-- @include stocks
-- @include holds
-- @include records
-- @include entry
-- @include unseen

local TICK_MS = 1000
work_max = struct.unpack('>I4', ARGV[1], context_at)
local seconds_read, elements_read, rests, expired, is_full = {}, {}, {}, 0, false

-- Until a person has repaired what was written over; soon enough for the units to come back then, and
-- late enough for many such holds to cost little.
local PUT_OFF_S = 30
local NAMES_MAX = 16
-- What a reference may lead to. Of a record that is not held no more is read than its state; if the rest
-- is broken, reconcile gives its deadline back with the record.
local IS_STATE = { [STATE.held] = true, [STATE.committed] = true, [STATE.released] = true,
  [STATE.expired] = true, [STATE.closed] = true }
local put_off, names, names_count, is_named = 0, {}, 0, {}
local put_off_to, oldest_put_off = math.floor(now / 1000) + PUT_OFF_S, today

local function put_hold_off(at, sku, name)
  add_due(put_off_to, at)
  put_off = put_off + 1
  oldest_put_off = math.min(oldest_put_off, at.generation)
  local packed = struct.pack('>Bc0Bc0', #sku, sku, #name, name)
  if is_named[packed] or names_count == NAMES_MAX then return end
  is_named[packed] = true
  names_count = names_count + 1
  names[names_count] = packed
end

-- False when there is no room for it; nothing was done with it then.
local function expire_hold(at)
  if not has_room_to_read(at.bytes) then return false end
  work = work + 1
  if not at.bytes then return true end
  local state = string_byte(at.bytes)
  if state ~= STATE.held then
    if not IS_STATE[state] then put_hold_off(at, '', at.id) end
    return true
  end
  if not read_hold(at.bytes) then
    put_hold_off(at, '', at.id)
    return true
  end
  if hold_number * 1000 > now then return true end
  if not has_room(work_to_settle() - 1) then return false end
  local unreadable = find_cells()
  if unreadable then
    put_hold_off(at, unreadable.stock.sku, unreadable.field)
    return true
  end
  local body = hold_body
  add_change(struct_pack('>BBc0I2I2', 4, #at.id, at.id, at.generation, (hold_version + 1) % 65536))
  add_piece(whole_moves())
  for i = 1, #body do
    local c, units = body[i].cell, body[i].units
    c.r = c.r - units
    add_available(c, units)
  end
  save_hold(at, encode_tombstone(at.bytes, STATE.expired))
  expired = expired + 1
  return true
end

-- Gives where in the element the first stands that there was no room for.
local function expire_ids(generation, bucket, ids, starts)
  if #ids > 1 then read_ahead(generation, bucket, ids) end
  for i = 1, #ids do
    if not expire_hold(find_at(generation, bucket, ids[i])) then return starts[i] end
    is_begun = true
  end
end

-- References that follow one another mostly lead into one bucket. Gives what is left of the element: the
-- references of an element are few, but each may be that of a cart.
local function expire_element(element)
  local pos, ids, starts, last_generation, last_bucket, left = 1, {}, {}, nil, nil, nil
  while pos <= #element and not left do
    local generation, bucket, id, behind = struct_unpack('>I2I3Bc0', element, pos)
    if bucket ~= last_bucket or generation ~= last_generation then
      left = expire_ids(last_generation, last_bucket, ids, starts)
      ids, starts, last_generation, last_bucket = {}, {}, generation, bucket
    end
    ids[#ids + 1], starts[#ids + 1] = id, pos
    pos = behind
  end
  left = left or expire_ids(last_generation, last_bucket, ids, starts)
  return left and string_sub(element, left)
end

local due_seconds = redis.call('ZRANGEBYSCORE', prefix .. 'deadlines', '-inf', math.floor(now / 1000),
  'LIMIT', 0, 16)
for i = 1, #due_seconds do
  if is_full then break end
  local second, n = due_seconds[i], 0
  while true do
    local element = redis.call('LINDEX', prefix .. 'due:' .. second, n)
    if not element then
      seconds_read[#seconds_read + 1] = second
      break
    end
    rests[second] = expire_element(element)
    if rests[second] then
      is_full = true
      break
    end
    n = n + 1
  end
  elements_read[second] = n
end

local ticking = change_count == 0 and now - tonumber(meta[7]) >= TICK_MS
  and redis.call('EXISTS', prefix .. 'deadlines') == 1
if change_count > 0 or ticking then
  append_entry(ticking and 3 or 1)
  write_cells()
  write_holds()
end
-- Before the references go from where they stood; like these, it changes nothing that the log tells.
write_due()
-- Their deadlines no longer tell how old they are.
if put_off > 0 then
  redis.call('HSET', KEYS[1], 'put_off',
    string.format('%d %d', math.min(oldest_put_off, put_off_since() or today), put_off_to))
end
for second, n in pairs(elements_read) do
  if rests[second] then redis.call('LSET', prefix .. 'due:' .. second, n, rests[second]) end
  if n > 0 then redis.call('LTRIM', prefix .. 'due:' .. second, n, -1) end
end
for i = 1, #seconds_read do redis.call('ZREM', prefix .. 'deadlines', seconds_read[i]) end
if change_count > 0 or ticking then finish_entry() end
return stamp() .. struct.pack('>I4BI4B', expired,
  (is_full or #due_seconds == 16) and 1 or 0, put_off, names_count) .. table.concat(names)
  .. struct.pack('>I4', math.ceil(work))
