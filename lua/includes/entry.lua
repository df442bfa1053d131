-- The log entry: first write of a script; `finish` writes all the rest, meta's seq last. Lua errors do
-- not roll back: a script that dies between the two leaves an entry behind meta's last, which every
-- later script sees (fence.lua), and which recovery brings to PostgreSQL and back.
--
-- Gives: add_change(bytes), add_piece(bytes) of the change that was added last, change_count,
--        append_entry(kind), finish_entry(), stamp(); and for who adds in pieces: pieces, piece_count
--        (changes; before them, if all cells are put so, these: placed_count)

-- The first is the head.
local pieces, piece_count, change_count, placed_count = { '' }, 1, 0, 0

local function add_piece(bytes)
  piece_count = piece_count + 1
  pieces[piece_count] = bytes
end

local function add_change(bytes)
  change_count = change_count + 1
  add_piece(bytes)
end

-- What one entry can count of each.
local COUNTED_MAX = 65535

local function append_entry(kind)
  if touched_count > COUNTED_MAX or change_count > COUNTED_MAX then
    error('a bug: more cells or changes than one entry counts; nothing was written')
  end
  local out = pieces
  if placed_count < touched_count then
    out = { '' }
    local n = pack_touched(out, 1) - 1
    for i = 2, piece_count do out[n + i] = pieces[i] end
  end
  out[1] = struct.pack('>BBI8I8c8I8I8c8I8I2I2', 1, kind, epoch, seq + 1, new_nonce,
    epoch, seq, nonce, now, touched_count, change_count)
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
