-- What sort of product it is, for settings that hold for all products of a sort: the durability
-- levels of its reservations. It stands here alone; the log knows nothing of it.

ALTER TABLE products ADD COLUMN class text COLLATE "C";

-- Engines read the few products that have one.
CREATE INDEX products_class ON products (class) WHERE class IS NOT NULL;
