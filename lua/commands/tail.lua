--[[
One look at a lane, for relay, persister and recovery: its meta and the stream behind a position.
It answers on any node in any state: the reader judges by what it says.

KEYS[1]  meta
ARGV[1]  epoch, ARGV[2] seq: entries behind this position
ARGV[3]  entries at most
Touches  log
Returns  {exists 0|1, term, open 0|1, replid matches 0|1, half done 0|1, epoch, seq, nonce, lane time ms,
         {id, bytes, id, bytes, ...}}
Variants tail: flags=no-writes
]]
local log = string.sub(KEYS[1], 1, -5) .. 'log'
local meta = redis.call('HMGET', KEYS[1], 'term', 'state', 'replid', 'epoch', 'seq', 'nonce', 'time')
local entries = {}
local stream = redis.call('XRANGE', log, '(' .. ARGV[1] .. '-' .. ARGV[2], '+', 'COUNT', ARGV[3])
for i = 1, #stream do
  entries[2 * i - 1] = stream[i][1]
  entries[2 * i] = stream[i][2][2]
end
if not meta[1] then return { 0, '0', 0, 0, 0, '0', '0', '', '0', entries } end
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local behind = redis.call('XRANGE', log, '(' .. meta[4] .. '-' .. meta[5], '+', 'COUNT', 1)
return { 1, meta[1], meta[2] == 'open' and 1 or 0, meta[3] == replid and 1 or 0, #behind,
  meta[4], meta[5], meta[6], meta[7], entries }
