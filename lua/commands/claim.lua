--[[
Closes the lane under recovery's term and freezes lane time. An empty Redis is claimable.

KEYS[1]  meta
ARGV[1]  term
ARGV[2]  schema version
Touches  deadlines
Returns  {1, replid, epoch, seq, nonce, lane time ms, 1 if holds may live of days that scripts look at no more}
         of the claimed node, or {0, term} of a newer claim
Variants claim: flags=allow-oom
]]
-- @include unseen

local term = tonumber(ARGV[1])
local meta = redis.call('HMGET', KEYS[1], 'term', 'state', 'replid', 'epoch', 'seq', 'nonce', 'time', 'offset')
if meta[1] and tonumber(meta[1]) >= term then return { 0, meta[1] } end
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local clock = redis.call('TIME')
local wall = clock[1] * 1000 + math.floor(clock[2] / 1000)
if not meta[1] then
  meta[4], meta[5], meta[6], meta[7] = '0', '0', string.rep('\0', 8), '0'
  -- An empty node has no records of days past, which `drop` need not look for.
  redis.call('HSET', KEYS[1], 'schema', ARGV[2], 'epoch', '0', 'seq', '0', 'nonce', meta[6], 'offset', '0',
    'dropped', math.floor(wall / 86400000) - 3)
end
local time = tonumber(meta[7])
-- An open lane's time runs on; a node that restarted or was promoted stood still since its last entry.
if meta[2] == 'open' and meta[3] == replid then time = math.max(time, wall + tonumber(meta[8])) end
local frozen = string.format('%.0f', time)
-- The cursor of an earlier recovery's wipe means nothing after a restart: the hash seed is another.
redis.call('HDEL', KEYS[1], 'wipe')
redis.call('HSET', KEYS[1], 'time', frozen, 'replid', replid, 'state', 'closed', 'term', ARGV[1])
return { 1, replid, meta[4], meta[5], meta[6], frozen, unseen_since(math.floor(time / 86400000)) and 1 or 0 }
