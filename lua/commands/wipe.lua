--[[
Drops all that stands under the lane but its meta, a bounded piece a call: a fork is not merged.

KEYS[1]  meta
ARGV[1]  term, ARGV[2] replid of the claim
Touches  every key of the lane
Returns  'done', 'more', or 'claim_lost'
Variants wipe: flags=allow-oom
]]
-- @include claimed

local PIECE = 2000
forget_position()
redis.call('UNLINK', prefix .. 'log')
local cursor = redis.call('HGET', KEYS[1], 'wipe') or '0'
local scan = redis.call('SCAN', cursor, 'MATCH', prefix .. '*', 'COUNT', PIECE)
for i = 1, #scan[2] do
  if scan[2][i] ~= KEYS[1] then redis.call('UNLINK', scan[2][i]) end
end
if scan[1] == '0' then
  redis.call('HDEL', KEYS[1], 'wipe')
  return 'done'
end
redis.call('HSET', KEYS[1], 'wipe', scan[1])
return 'more'
