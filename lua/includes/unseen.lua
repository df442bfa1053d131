-- Holds that live on among records of days that scripts look at no more, because no sweeper ran for so
-- long, or because it puts them off (commands/expire.lua).
--
-- Gives: first_deadline, put_off_since(), unseen_since(day)
-- Wants: KEYS[1] meta

local DAY_S = 86400
local first_deadline = tonumber(redis.call('ZRANGE', string.sub(KEYS[1], 1, -5) .. 'deadlines', 0, 0)[1])

-- The oldest generation of which holds were put off; nil when they have been tried again since.
local function put_off_since()
  local note = first_deadline and redis.call('HGET', KEYS[1], 'put_off')
  if not note then return end
  local generation, second = string.match(note, '(%d+) (%d+)')
  if first_deadline <= tonumber(second) then return tonumber(generation) end
end

-- The oldest generation of two days before this one, or more, in which a hold may live; nil: none does.
-- A hold lives for a day at the most. It stands in the generation of the day on which it was made, or of
-- the day before, on which its id was made.
local function unseen_since(day)
  local oldest = put_off_since()
  if first_deadline and first_deadline <= day * DAY_S then
    oldest = math.min(oldest or day, math.floor(first_deadline / DAY_S) - 3)
  end
  return oldest and oldest <= day - 2 and oldest or nil
end
