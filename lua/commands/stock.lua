--[[
Moves on-hand units in or out (receive, adjust), or makes SKUs known to the lane (define). Always a
delta in the log, never a silent set. All lines or none.

KEYS[1]  meta
ARGV[1]  context: I8 epoch, I8 seq seen, c8 nonce for the entry
ARGV[2]  u8 kind; 3 define: u16 n, n x u8+ SKU
         1 receive, 2 adjust: u8 flags (1 fresh), u16 generation, u24 bucket, u8+ id, c8 fingerprint,
         u16+ attributes, u16 n lines: u8+ SKU, u8+ field, i8 delta
Touches  log, stock:*, hold:*
Returns  >B 1, B reason when fenced; else >B 0, I8 epoch, I8 seq, I8 lane time, i8 offset,
         an answer (includes/answers.lua) and, when it was applied, a packed cell (u8+) a line
Variants stock: flags=
]]
-- @include fence
-- @include cells
-- @include stocks
-- @include holds
-- @include records
-- @include entry

local answers, answer_count = {}, 1
-- @include answers

local DEFINE, RECEIVE, UNITS_MAX = 3, 1, 1000000000000
local operation = ARGV[2]

local function define(pos)
  local count
  count, pos = struct.unpack('>I2', operation, pos)
  local new = {}
  for _ = 1, count do
    local sku
    sku, pos = struct.unpack('>Bc0', operation, pos)
    local s = stock_of(sku)
    if not is_known(s) then
      s.known = true
      new[#new + 1] = s
      add_change(struct.pack('>BBc0', 9, #sku, sku))
    end
  end
  if change_count > 0 then
    append_entry(1)
    for i = 1, #new do redis.call('HSET', new[i].key, '', '1') end
    finish_entry()
  end
  answer(OUTCOME.applied)
end

local function read_deltas(pos)
  local count
  count, pos = struct.unpack('>I2', operation, pos)
  local lines = {}
  for i = 1, count do
    local sku, field, delta
    sku, field, delta, pos = struct_unpack('>Bc0Bc0i8', operation, pos)
    local stock = stock_of(sku)
    lines[i] = { index = i - 1, stock = stock, field = field, delta = delta, cell = cell_of(stock, field) }
  end
  return lines
end

local function find_unknown(lines)
  local unknown = {}
  for i = 1, #lines do
    -- Where a cell of it stands the SKU is known.
    if not lines[i].cell and not is_known(lines[i].stock) then
      unknown[#unknown + 1] = struct_pack('>I2I8', lines[i].index, 0)
    end
  end
  return unknown
end

local function unreadable_of(lines)
  for i = 1, #lines do
    local c = lines[i].cell
    if c and is_unreadable(c) then return c end
  end
end

-- Applies the deltas in memory; the lines that cannot be, and why.
local function apply_deltas(lines)
  local outcome, short = nil, {}
  for i = 1, #lines do
    local line = lines[i]
    local c = line.cell or cell_of(line.stock, line.field) or new_cell(line.stock, line.field)
    line.cell = c
    local after = c.a + line.delta
    if line.delta < 0 and after < 0 then
      outcome = outcome or OUTCOME.insufficient
      short[#short + 1] = struct.pack('>I2I8', line.index, math.max(0, c.a))
    elseif after + c.r + c.l > UNITS_MAX then
      outcome = OUTCOME.out_of_range
      short[#short + 1] = struct.pack('>I2I8', line.index, math.max(0, c.a))
    else
      c.a = after
    end
  end
  return outcome, short
end

local function move(kind, pos)
  local flags, generation, bucket, id, fingerprint, attributes
  flags, generation, bucket, id, fingerprint, attributes, pos =
    struct.unpack('>BI2I3Bc0c8I2c0', operation, pos)
  -- An id that names no day has its record in today's, where drop finds it.
  local day = generation > 0 and generation or today
  local at = flags == 1 and found_at(day, bucket, id, false) or find_hold(generation, bucket, id)
  local lines = read_deltas(pos)
  local cells, unreadable = {}, unreadable_of(lines)
  if at.bytes then
    if not read_hold(at.bytes) then return answer_unreadable_record(id) end
    if string.sub(at.bytes, 2, 9) ~= fingerprint then return answer(OUTCOME.exists_with_different_payload) end
    if unreadable then return answer_unreadable(unreadable) end
    answer(OUTCOME.applied, true)
  else
    local unknown = find_unknown(lines)
    if #unknown > 0 then return answer_short(OUTCOME.unknown_sku, unknown) end
    if unreadable then return answer_unreadable(unreadable) end
    local outcome, short = apply_deltas(lines)
    if outcome then return answer_short(outcome, short) end
    for i = 1, #lines do cells[i] = struct_pack('>I2i8', touch(lines[i].cell), lines[i].delta) end
    add_change(struct.pack('>BBc0I2Bc8I2c0I2', 8, #id, id, at.generation, kind, fingerprint,
      #attributes, attributes, #lines) .. table.concat(cells))
    save_hold(at, struct.pack('>Bc8I4', STATE.operation, fingerprint, math.floor(now / 1000)))
    append_entry(1)
    write_cells()
    write_holds()
    finish_entry()
    answer(OUTCOME.applied)
  end
  for i = 1, #lines do
    local c = lines[i].cell or { a = 0, r = 0, l = 0, v = 0 }
    local bytes = encode_cell(c)
    cells[i] = struct_pack('>Bc0', #bytes, bytes)
  end
  answer_count = answer_count + 1
  answers[answer_count] = table.concat(cells)
end

local kind = string.byte(operation)
if kind == DEFINE then define(2) else move(kind, 2) end
answers[1] = stamp()
return table.concat(answers, '', 1, answer_count)
