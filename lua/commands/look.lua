--[[
What stands in Redis at one position, byte for byte, for reconcile: it judges what it reads, so nothing
is taken for granted here, neither a key's type nor that an element can be read.

KEYS[1]  meta
ARGV[1]  context: I8 epoch, I8 seq seen, c8 unused
ARGV[2]  u16 n SKUs: u8+ SKU; u16 n buckets: u16 generation, u24 bucket;
         u16 n cells: u8+ SKU, u8+ field; u16 n records: u16 generation, u24 bucket, u8+ id;
         u16 n seconds: u32 second, u32 first element, u16 elements at most
Touches  stock:*, hold:*, cart:*, deadlines, due:*
Returns  >B 1, B reason when fenced; else >B 0, I8 epoch, I8 seq, I8 lane time, i8 offset, and for
         each SKU    u32 n: u32+ field, u32+ bytes (n is 2^32 - 1 when the key is no hash)
         each bucket u32 n: u32+ field, u32+ bytes of the record, likewise; those of a cart are the cart's
         each cell   u32+ bytes, none: empty
         each record u32+ bytes, none: empty
         each second u8 1 when the sorted set has it, u16 n elements: u32+ bytes, u16 n references: u8
                     state of the record that it names (0: there is none)
Variants look: flags=no-writes
]]
-- @include fence
-- @include fields

local NO_HASH = 4294967295
local wanted, pos = ARGV[2], 1
local out, n = { struct.pack('>BI8I8I8i8', 0, epoch, seq, now, offset) }, 1

local function put(bytes)
  n = n + 1
  out[n] = bytes
end

local function put_bytes(bytes)
  put(struct.pack('>I4', #bytes))
  put(bytes)
end

local function read(format)
  local a, b, c, d = struct.unpack(format, wanted, pos)
  pos = d or c or b
  return a, b, c
end

local function fields_of(key, value_of)
  local all = redis.pcall('HGETALL', key)
  if all.err then return put(struct.pack('>I4', NO_HASH)) end
  put(struct.pack('>I4', #all / 2))
  for i = 1, #all, 2 do
    put_bytes(all[i])
    put_bytes(value_of(all[i], all[i + 1]))
  end
end

-- The head itself when its cart is gone: then nobody can read it.
local function record_of(at, field, bytes)
  if not bytes or type(bytes) == 'table' then return '' end
  if #bytes == 0 or string.byte(bytes) < LIMIT.cart_head_flag then return bytes end
  local cart = redis.pcall('HGET', prefix .. 'cart:' .. at, field)
  return type(cart) == 'string' and cart or bytes
end

local function same(_, bytes) return bytes end

for _ = 1, (read('>I2')) do fields_of(prefix .. 'stock:' .. read('>Bc0'), same) end
for _ = 1, (read('>I2')) do
  local generation, bucket = read('>I2I3')
  local at = generation .. ':' .. bucket
  fields_of(prefix .. 'hold:' .. at, function(field, bytes) return record_of(at, field, bytes) end)
end
for _ = 1, (read('>I2')) do
  local sku = read('>Bc0')
  local bytes = redis.pcall('HGET', prefix .. 'stock:' .. sku, (read('>Bc0')))
  put_bytes(type(bytes) == 'string' and bytes or '')
end
for _ = 1, (read('>I2')) do
  local generation, bucket = read('>I2I3')
  local at, field = generation .. ':' .. bucket, field_of(generation, bucket, (read('>Bc0')))
  put_bytes(record_of(at, field, redis.pcall('HGET', prefix .. 'hold:' .. at, field)))
end

local function put_references(element)
  local states, at = {}, 1
  while at <= #element do
    local ok, generation, bucket, id, behind = pcall(struct.unpack, '>I2I3Bc0', element, at)
    if not ok then break end
    local bytes = redis.pcall('HGET', prefix .. 'hold:' .. generation .. ':' .. bucket,
      field_of(generation, bucket, id))
    local state = type(bytes) == 'string' and string.byte(bytes) or 0
    states[#states + 1] = string.char(state >= LIMIT.cart_head_flag and state - LIMIT.cart_head_flag or state)
    at = behind
  end
  put(struct.pack('>I2', #states))
  put(table.concat(states))
end

for _ = 1, (read('>I2')) do
  local second, first, count = read('>I4I4I2')
  local elements = redis.pcall('LRANGE', prefix .. 'due:' .. second, first, first + count - 1)
  if elements.err then elements = {} end
  put(struct.pack('>BI2', redis.call('ZSCORE', prefix .. 'deadlines', second) and 1 or 0, #elements))
  for i = 1, #elements do
    put_bytes(elements[i])
    put_references(elements[i])
  end
end
return table.concat(out)
