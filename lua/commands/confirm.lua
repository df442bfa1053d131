--[[
Whether the node is still what it was, and how many replicas must have a write now, so that each one
that is in sync has it. In sync is who is online, has acknowledged something since it came (who loads
a copy has not, and cannot be promoted) and was not silent for longer than allowed. Counted with them
is who has as much as the slowest of them: so a count of those that have the write is high enough
only when the slowest is among them.

KEYS[1]  meta
ARGV[1]  context: I8 epoch, I8 seq seen, c8 unused
ARGV[2]  u8 longest silence of a replica that is in sync, s
Touches  log
Returns  >B 1, B reason when fenced; else >B 0, I8 epoch, I8 seq, I8 lane time, i8 offset, u16
         replicas that must have the write
Variants confirm: flags=no-writes
]]
-- @include fence

local silence_max = string.byte(ARGV[2])
local online, slowest = {}, math.huge
local shown = 'state=online,offset=(%d+),lag=(%d+)'
for acknowledged, silence in string.gmatch(redis.call('INFO', 'replication'), shown) do
  local reached = tonumber(acknowledged)
  online[#online + 1] = reached
  if reached > 0 and tonumber(silence) <= silence_max and reached < slowest then
    slowest = reached
  end
end
local needed = 0
for _, reached in ipairs(online) do
  if reached >= slowest then needed = needed + 1 end
end
return struct.pack('>BI8I8I8i8I2', 0, epoch, seq, now, offset, needed)
