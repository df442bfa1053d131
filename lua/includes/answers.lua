-- Packed answers, one an operation, in order: u8 outcome, u8 flags (1 replayed, 2 a record follows,
-- 4 shortages follow, 8 what cannot be read follows), u32+ record, u16 n shortages of { u16 line, i64
-- units to be had }; u8+ SKU, u8+ field ('': no cell of the SKU can be read), or no SKU, u8+ id of a record.
-- Outcome 0: not decided for want of room in the entry; to be sent again.
--
-- Gives: answer(outcome, replayed), answer_record(...), answer_short(...), answer_not_yet(),
--        answer_unreadable(cell), answer_unreadable_record(id)
-- Wants: answers, and their number answer_count; the first is the head of the reply

local function answer(outcome, replayed)
  answer_count = answer_count + 1
  answers[answer_count] = struct.pack('>BB', outcome, replayed and 1 or 0)
end

local function answer_record(outcome, replayed, bytes, short)
  local flags = replayed and 3 or 2
  answer_count = answer_count + 1
  if short and #short > 0 then
    answers[answer_count] = struct.pack('>BBI4c0I2', outcome, flags + 4, #bytes, bytes, #short)
      .. table.concat(short)
  else
    -- Not put together with the head: Redis' Lua would hash the record again.
    answers[answer_count] = struct_pack('>BBI4', outcome, flags, #bytes)
    answer_count = answer_count + 1
    answers[answer_count] = bytes
  end
end

local function answer_not_yet() answer(0) end

local function answer_short(outcome, short)
  answer_count = answer_count + 1
  answers[answer_count] = struct.pack('>BBI2', outcome, 4, #short) .. table.concat(short)
end

local function answer_unreadable_name(sku, name)
  answer_count = answer_count + 1
  answers[answer_count] = struct.pack('>BBBc0Bc0', OUTCOME.unreadable, 8, #sku, sku, #name, name)
end

local function answer_unreadable(c) answer_unreadable_name(c.stock.sku, c.field) end

local function answer_unreadable_record(id) answer_unreadable_name('', id) end
