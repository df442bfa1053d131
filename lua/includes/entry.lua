-- The log entry: first write of a script; `finish` writes all the rest, meta's seq last. Lua errors do
-- not roll back: a script that dies between the two leaves an entry behind meta's last, which every
-- later script sees (fence.lua), and which recovery brings to PostgreSQL and back.
--
-- Gives: add_change(bytes), change_count, append_entry(kind), finish_entry(), stamp(); and for who adds
--        a change in pieces: pieces, piece_count

local pieces, piece_count, change_count = {}, 0, 0

local function add_change(bytes)
  change_count = change_count + 1
  piece_count = piece_count + 1
  pieces[piece_count] = bytes
end

local function append_entry(kind)
  local out = { struct.pack('>BBI8I8c8I8I8c8I8I2I2', 1, kind, epoch, seq + 1, new_nonce,
    epoch, seq, nonce, now, touched_count, change_count) }
  local n = pack_touched(out, 1)
  for i = 1, piece_count do out[n + i] = pieces[i] end
  redis.call('XADD', log, string.format('%s-%d', meta[3], seq + 1), 'e', table.concat(out))
end

local function finish_entry()
  seq = seq + 1
  redis.call('HSET', KEYS[1], 'time', string.format('%d', now), 'nonce', new_nonce,
    'seq', string.format('%d', seq))
end

-- Reply header: >B 0, I8 epoch, I8 seq, I8 now, i8 offset.
local function stamp()
  return struct.pack('>BI8I8I8i8', 0, epoch, seq, now, offset)
end
