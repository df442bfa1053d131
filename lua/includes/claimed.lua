-- Every recovery script starts here: it runs only under the claim, on the node that was claimed.
--
-- Gives: prefix; wants: KEYS[1] meta; ARGV[1] term, ARGV[2] replid

local prefix = string.sub(KEYS[1], 1, -5)
do
  local meta = redis.call('HMGET', KEYS[1], 'term', 'state', 'replid')
  if meta[1] ~= ARGV[1] or meta[2] ~= 'closed' or meta[3] ~= ARGV[2]
    or string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') ~= ARGV[2] then
    return 'claim_lost'
  end
end
local function forget_position()
  redis.call('HSET', KEYS[1], 'epoch', '0', 'seq', '0', 'nonce', string.rep('\0', 8))
end
