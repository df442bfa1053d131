--[[
One look at a lane, for relay, persister and recovery: its meta and the stream behind a position.
It answers on any node in any state: the reader judges by what it says.

KEYS[1]  meta
ARGV[1]  epoch, ARGV[2] seq: entries behind this position
ARGV[3]  entries at most; fewer when these have LIMIT.tail_bytes
Touches  log
Returns  {exists 0|1, term, open 0|1, replid matches 0|1, half done 0|1, epoch, seq, nonce, lane time ms,
         {id, bytes, id, bytes, ...}}
Variants tail: flags=no-writes
]]
local log = string.sub(KEYS[1], 1, -5) .. 'log'
local meta = redis.call('HMGET', KEYS[1], 'term', 'state', 'replid', 'epoch', 'seq', 'nonce', 'time')

-- Lua hashes every byte of an entry, and entries are of a hundred bytes or of a hundred thousand: so they
-- are read in pieces, none of which is expected to lead far beyond the bound.
local entries, n, bytes, largest = {}, 0, 0, 1
local after, left, piece = ARGV[1] .. '-' .. ARGV[2], tonumber(ARGV[3]), 1
while piece > 0 do
  local stream = redis.call('XRANGE', log, '(' .. after, '+', 'COUNT', piece)
  for i = 1, #stream do
    local entry = stream[i][2][2]
    entries[n + 1], entries[n + 2], n = stream[i][1], entry, n + 2
    bytes, largest = bytes + #entry, math.max(largest, #entry)
  end
  if #stream < piece then break end
  after, left = entries[n - 1], left - piece
  piece = math.min(left, 2 * piece, math.ceil((LIMIT.tail_bytes - bytes) / largest))
end

if not meta[1] then return { 0, '0', 0, 0, 0, '0', '0', '', '0', entries } end
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local behind = redis.call('XRANGE', log, '(' .. meta[4] .. '-' .. meta[5], '+', 'COUNT', 1)
return { 1, meta[1], meta[2] == 'open' and 1 or 0, meta[3] == replid and 1 or 0, #behind,
  meta[4], meta[5], meta[6], meta[7], entries }
