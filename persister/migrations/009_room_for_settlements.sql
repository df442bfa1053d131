-- Every line is rewritten once at least, when its hold is settled, and none of its indexed columns
-- changes: with room in its page the new version stays there and no index hears of it.
ALTER TABLE reservation_lines SET (fillfactor = 50);
