-- Packed answers, one an operation, in order: u8 outcome, u8 flags (1 replayed, 2 a record follows,
-- 4 shortages follow), u32+ record, u16 n shortages of { u16 line, i64 units to be had }.
--
-- Gives: answers, answer(outcome, replayed), answer_record(...), answer_short(...)

local answers, answer_count = {}, 1

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
    answers[answer_count] = struct.pack('>BBI4c0', outcome, flags, #bytes, bytes)
  end
end

local function answer_short(outcome, short)
  answer_count = answer_count + 1
  answers[answer_count] = struct.pack('>BBI2', outcome, 4, #short) .. table.concat(short)
end
