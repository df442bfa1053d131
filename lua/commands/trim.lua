--[[
Removes entries that PostgreSQL has. Never while the lane is closed, never the last entry, never by a
position of a later epoch than this node's own (a zombie would lose what shows its fork).

KEYS[1]  meta
ARGV[1]  context: I8 epoch, I8 seq seen, c8 unused
ARGV[2]  I8 epoch, I8 seq that PostgreSQL has committed; I8 margin, ms of lane time to keep
Touches  log
Returns  >B 1, B reason when fenced; else >B 0, I8 epoch, I8 seq, I8 lane time, i8 offset, I4 removed
Variants trim: flags=allow-oom
]]
-- @include fence

-- Entries that one call removes at most.
local PIECE = 256
local have_epoch, have_seq, margin = struct.unpack('>I8I8I8', ARGV[2])
local removed = 0

-- The first entry at or behind the position: its epoch and seq, and whether it may go. Lua hashes every
-- byte of an entry that it is given, so as few as possible are looked at.
local function look_at(position)
  local found = redis.call('XRANGE', log, position, '+', 'COUNT', 1)[1]
  if not found then return end
  local e, s = string.match(found[1], '(%d+)-(%d+)')
  local written = struct.unpack('>I8', found[2][2], 51)
  local number, place = tonumber(e), tonumber(s)
  local may_go = (number < have_epoch or (number == have_epoch and place <= have_seq))
    and now - written >= margin and (number < epoch or place < seq)
  return may_go, e, place
end

local may_go, oldest_epoch, oldest
if have_epoch <= epoch then may_go, oldest_epoch, oldest = look_at('-') end
if may_go then
  -- Entries may go in the order in which they stand: those up to `go` may, the one at `stay` may not.
  local go, stay = 0, PIECE
  while stay - go > 1 do
    local middle = math.floor((go + stay) / 2)
    if look_at(string.format('%s-%d', oldest_epoch, oldest + middle)) then go = middle else stay = middle end
  end
  removed = redis.call('XTRIM', log, 'MINID', string.format('%s-%d', oldest_epoch, oldest + go + 1))
end
return struct.pack('>BI8I8I8i8I4', 0, epoch, seq, now, offset, removed)
