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

local PIECE = 256
local have_epoch, have_seq, margin = struct.unpack('>I8I8I8', ARGV[2])
local removed = 0
if have_epoch <= epoch then
  local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', PIECE)
  local keep_from
  for i = 1, #oldest do
    local e, s = string.match(oldest[i][1], '(%d+)-(%d+)')
    e, s = tonumber(e), tonumber(s)
    local written = struct.unpack('>I8', oldest[i][2][2], 51)
    keep_from = oldest[i][1]
    if e > have_epoch or (e == have_epoch and s > have_seq) or now - written < margin
      or (e == epoch and s >= seq) then break end
    if i == #oldest and #oldest == PIECE then
      -- The whole piece may go; the next call looks further.
      break
    end
  end
  if keep_from then removed = redis.call('XTRIM', log, 'MINID', keep_from) end
end
return struct.pack('>BI8I8I8i8I4', 0, epoch, seq, now, offset, removed)
