--[[
Gives the units of expired holds back, one bounded slice, in one entry of the log. When nothing was
written for a second and holds live, it writes a tick, so that a promoted replica knows lane time.

KEYS[1]  meta
ARGV[1]  context: I8 epoch, I8 seq seen, c8 nonce for the entry, I4 references to look at, at most
Touches  log, deadlines, stock:*, hold:*, cart:*, due:*
Returns  >B 1, B reason when fenced; else >B 0, I8 epoch, I8 seq, I8 lane time, i8 offset,
         I4 holds that expired, B 1 when more is due at once
Variants expire: flags=allow-oom
]]
-- @include fence
-- @include cells
-- @include holds
-- @include entry

local TICK_MS = 1000
local refs_max = struct.unpack('>I4', ARGV[1], context_at)
local seconds_read, elements_read, expired, refs = {}, {}, 0, 0

local function expire_hold(at)
  if not at.bytes or string.byte(at.bytes) ~= STATE.held then return end
  local hold = parse_hold(at.bytes)
  if hold.number * 1000 > now then return end
  local moves = {}
  for i = 1, #hold.lines do
    local line = hold.lines[i]
    for k = 1, #line.places do
      local place = line.places[k]
      local c = cell_of(stock_of(line.sku), place.field)
      c.r = c.r - place.units
      add_available(c, place.units)
      moves[#moves + 1] = struct.pack('>I2I2I4', line.line, touch(c), place.units)
    end
  end
  add_change(struct.pack('>BBc0I2I2I2', 4, #at.id, at.id, at.generation,
    (hold.version + 1) % 65536, #moves) .. table.concat(moves))
  hold.state = STATE.expired
  save_hold(at, encode_tombstone(hold))
  expired = expired + 1
end

local function expire_element(element)
  local pos = 1
  while pos <= #element do
    local generation, bucket, id
    generation, bucket, id, pos = struct.unpack('>I2I3Bc0', element, pos)
    expire_hold(find_hold(generation, bucket, id))
    refs = refs + 1
  end
end

local due_seconds = redis.call('ZRANGEBYSCORE', prefix .. 'deadlines', '-inf', math.floor(now / 1000),
  'LIMIT', 0, 16)
for i = 1, #due_seconds do
  if refs >= refs_max then break end
  local second, n = due_seconds[i], 0
  while refs < refs_max do
    local element = redis.call('LINDEX', prefix .. 'due:' .. second, n)
    if not element then
      seconds_read[#seconds_read + 1] = second
      break
    end
    expire_element(element)
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
for second, n in pairs(elements_read) do
  if n > 0 then redis.call('LTRIM', prefix .. 'due:' .. second, n, -1) end
end
for i = 1, #seconds_read do redis.call('ZREM', prefix .. 'deadlines', seconds_read[i]) end
if change_count > 0 or ticking then finish_entry() end
return stamp() .. struct.pack('>I4B', expired,
  (refs >= refs_max or #due_seconds == 16) and 1 or 0)
