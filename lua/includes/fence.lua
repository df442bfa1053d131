-- Every script of an open lane starts here. It answers `fenced` and writes nothing unless this node
-- is the one that recovery opened, at a position that the caller has not seen beyond, with no
-- script of before left half done.
--
-- Gives: prefix, log, epoch, seq, nonce (of the last entry), now (lane time, ms), offset, today; and
--        struct_pack, struct_unpack, string_byte, string_sub, string_find, redis_call, redis_pcall
-- Wants: KEYS[1] meta; ARGV[1] the caller's context: >I8 epoch, I8 seq seen, c8 nonce for an entry

-- A local spares the two look-ups by name of each use.
local struct_pack, struct_unpack = struct.pack, struct.unpack
local string_byte, string_sub, string_find = string.byte, string.sub, string.find
local redis_call, redis_pcall = redis.call, redis.pcall
local prefix = string.sub(KEYS[1], 1, -5)
local log = prefix .. 'log'
local meta = redis.call('HMGET', KEYS[1], 'state', 'replid', 'epoch', 'seq', 'nonce', 'offset', 'time')
if not meta[1] then return struct.pack('>BB', 1, FENCE.no_meta) end
local replid = 'master_replid:' .. (meta[2] or '') .. '\r'
if not string.find(redis.call('INFO', 'replication'), replid, 1, true) then
  return struct.pack('>BB', 1, FENCE.replid)
end
if meta[1] ~= 'open' then return struct.pack('>BB', 1, FENCE.closed) end
local epoch, seq, nonce = tonumber(meta[3]), tonumber(meta[4]), meta[5]
local seen_epoch, seen_seq, new_nonce, context_at = struct.unpack('>I8I8c8', ARGV[1])
if epoch < seen_epoch or (epoch == seen_epoch and seq < seen_seq) then
  return struct.pack('>BB', 1, FENCE.behind_caller)
end
if redis.call('XREVRANGE', log, '+', '(' .. meta[3] .. '-' .. meta[4], 'COUNT', '1')[1] then
  return struct.pack('>BB', 1, FENCE.half_done)
end
local offset, now = tonumber(meta[6]), tonumber(meta[7])
do
  local clock = redis.call('TIME')
  local ticking = clock[1] * 1000 + math.floor(clock[2] / 1000) + offset
  if ticking > now then now = ticking end
end
local today = math.floor(now / 86400000)
