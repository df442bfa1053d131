-- What is sold, and where it stands. Written by the API; the persister only adds a bare row for a
-- SKU that the log defines and nobody described yet.

-- Ids are compared byte by byte everywhere: Redis and JavaScript do so, and it is several times
-- faster than a language's collation.
CREATE TABLE products (
  sku_id        text COLLATE "C" PRIMARY KEY,
  name          text,
  description   text,
  weight_g      bigint CHECK (weight_g >= 0),
  length_mm     bigint CHECK (length_mm >= 0),
  width_mm      bigint CHECK (width_mm >= 0),
  height_mm     bigint CHECK (height_mm >= 0),
  attributes    jsonb NOT NULL DEFAULT '{}',
  -- The newest entry of the log that made the SKU known to the lane; null: described, never defined.
  defined_epoch bigint,
  defined_seq   bigint,
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE warehouses (
  warehouse_id  text COLLATE "C" PRIMARY KEY,
  name          text,
  location      text,
  latitude      double precision CHECK (latitude BETWEEN -90 AND 90),
  longitude     double precision CHECK (longitude BETWEEN -180 AND 180),
  -- An IANA name; the engine checks it.
  time_zone     text NOT NULL DEFAULT 'UTC',
  -- Orders until then, in the warehouse's own time, leave after handling_days; later ones a day later.
  cut_off       time NOT NULL DEFAULT '14:00',
  handling_days integer NOT NULL DEFAULT 0 CHECK (handling_days BETWEEN 0 AND 365),
  -- Units that it can hold; null: not limited.
  capacity      bigint CHECK (capacity >= 0),
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now()
);
