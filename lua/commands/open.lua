--[[
Opens the lane: the `opened` entry is the first of the epoch that is the term. Lane time goes on from
where it was frozen.

KEYS[1]  meta
ARGV[1]  term, ARGV[2] replid of the claim
ARGV[3]  >I8 epoch, I8 seq, c8 nonce of the head that recovery saw; c8 nonce of this entry; I8 lane time
         of PostgreSQL's position, ms
Touches  log
Returns  'done' or 'claim_lost'
Variants open: flags=allow-oom
]]
-- @include claimed

local head_epoch, head_seq, head_nonce, nonce, known = struct.unpack('>I8I8c8c8I8', ARGV[3])
local clock = redis.call('TIME')
local wall = clock[1] * 1000 + math.floor(clock[2] / 1000)
local time = math.max(tonumber(redis.call('HGET', KEYS[1], 'time')), known)
if time == 0 then time = wall end
redis.call('XADD', prefix .. 'log', ARGV[1] .. '-1', 'e', struct.pack('>BBI8I8c8I8I8c8I8I2I2', 1, 2,
  tonumber(ARGV[1]), 1, nonce, head_epoch, head_seq, head_nonce, time, 0, 0))
-- Lane time may be that of days ago; those that were forgotten since fill once more.
local dropped, last = tonumber(redis.call('HGET', KEYS[1], 'dropped')), math.floor(time / 86400000) - 3
if dropped and dropped > last then redis.call('HSET', KEYS[1], 'dropped', last) end
redis.call('HSET', KEYS[1], 'offset', string.format('%.0f', time - wall),
  'time', string.format('%.0f', time), 'nonce', nonce, 'epoch', ARGV[1], 'seq', '1', 'state', 'open')
return 'done'
