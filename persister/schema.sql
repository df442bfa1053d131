CREATE FUNCTION public.ensure_movement_partition(first_day date) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
  partition text := 'stock_movements_' || to_char(first_day, 'YYYY_MM');
BEGIN
  IF to_regclass(partition) IS NOT NULL THEN RETURN; END IF;
  -- Two persisters may come to the same month at once.
  PERFORM pg_advisory_xact_lock(hashtext('ensure_movement_partition'));
  IF to_regclass(partition) IS NOT NULL THEN RETURN; END IF;
  -- Attached, not created in place: that would wait for every reader of the ledger.
  EXECUTE format(
    'CREATE TABLE %I (LIKE stock_movements INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition);
  EXECUTE format(
    'ALTER TABLE stock_movements ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
    partition,
    first_day::timestamp AT TIME ZONE 'UTC',
    (first_day + interval '1 month')::timestamp AT TIME ZONE 'UTC');
  EXECUTE format(
    'CREATE TRIGGER %I BEFORE TRUNCATE ON %I EXECUTE FUNCTION refuse_change()',
    partition || '_kept', partition);
END $$;

CREATE FUNCTION public.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  RAISE EXCEPTION '% is immutable: correct it with a movement of its own', TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation';
END $$;

CREATE TABLE public.entries (
    lane integer NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    nonce bytea NOT NULL,
    pred_epoch bigint NOT NULL,
    pred_seq bigint NOT NULL,
    pred_nonce bytea NOT NULL,
    kind text NOT NULL,
    time_ms bigint NOT NULL
);

CREATE TABLE public.inventory (
    sku_id text NOT NULL COLLATE pg_catalog."C",
    warehouse_id text NOT NULL COLLATE pg_catalog."C",
    pool text DEFAULT 'shared'::text NOT NULL COLLATE pg_catalog."C",
    lane integer NOT NULL,
    available_qty bigint NOT NULL,
    reserved_qty bigint NOT NULL,
    allocated_qty bigint NOT NULL,
    total_qty bigint GENERATED ALWAYS AS (((available_qty + reserved_qty) + allocated_qty)) STORED,
    reorder_point bigint,
    version bigint NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    suspect text,
    updated_at timestamp with time zone NOT NULL
)
WITH (fillfactor='70');

CREATE VIEW public.inventory_totals AS
 SELECT sku_id,
    warehouse_id,
    pool,
    (sum(available_qty))::bigint AS available_qty,
    (sum(reserved_qty))::bigint AS reserved_qty,
    (sum(allocated_qty))::bigint AS allocated_qty,
    (sum(total_qty))::bigint AS total_qty,
    max(reorder_point) AS reorder_point,
    (sum(version))::bigint AS version,
    bool_or((suspect IS NOT NULL)) AS is_suspect,
    max(updated_at) AS updated_at
   FROM public.inventory
  GROUP BY sku_id, warehouse_id, pool;

CREATE TABLE public.lanes (
    lane integer NOT NULL,
    term bigint NOT NULL,
    state text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT lanes_state_check CHECK ((state = ANY (ARRAY['new'::text, 'recovering'::text, 'open'::text, 'parked'::text])))
);

CREATE TABLE public.stock_movements (
    lane integer NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    idx integer NOT NULL,
    sku_id text NOT NULL COLLATE pg_catalog."C",
    source_warehouse text COLLATE pg_catalog."C",
    dest_warehouse text COLLATE pg_catalog."C",
    pool text NOT NULL COLLATE pg_catalog."C",
    source_location text NOT NULL,
    dest_location text NOT NULL,
    quantity bigint NOT NULL,
    movement_type text NOT NULL,
    reason text,
    reference_type text,
    reference_id text,
    unit_cost numeric,
    currency text,
    actor text,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT stock_movements_quantity_check CHECK ((quantity > 0))
)
PARTITION BY RANGE (created_at);

CREATE VIEW public.movements AS
 SELECT concat_ws('-'::text, lane, epoch, seq, idx) AS movement_id,
    lane,
    epoch,
    seq,
    idx,
    sku_id,
    source_warehouse,
    dest_warehouse,
    pool,
    source_location,
    dest_location,
    quantity,
    movement_type,
    reason,
    reference_type,
    reference_id,
    unit_cost,
    currency,
    actor,
    created_at
   FROM public.stock_movements m;

CREATE TABLE public.operations (
    operation_id text NOT NULL COLLATE pg_catalog."C",
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    lane integer NOT NULL,
    generation integer NOT NULL,
    kind text NOT NULL,
    fingerprint bytea NOT NULL,
    created_s bigint NOT NULL,
    CONSTRAINT operations_kind_check CHECK ((kind = ANY (ARRAY['receive'::text, 'adjust'::text])))
);

CREATE TABLE public.positions (
    lane integer NOT NULL,
    term bigint NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    nonce bytea NOT NULL,
    log_offset bigint NOT NULL,
    time_ms bigint NOT NULL,
    parked text,
    CONSTRAINT positions_nonce_check CHECK ((octet_length(nonce) = 8))
);

CREATE TABLE public.products (
    sku_id text NOT NULL COLLATE pg_catalog."C",
    name text,
    description text,
    weight_g bigint,
    length_mm bigint,
    width_mm bigint,
    height_mm bigint,
    attributes jsonb DEFAULT '{}'::jsonb NOT NULL,
    defined_epoch bigint,
    defined_seq bigint,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    class text COLLATE pg_catalog."C",
    CONSTRAINT products_height_mm_check CHECK ((height_mm >= 0)),
    CONSTRAINT products_length_mm_check CHECK ((length_mm >= 0)),
    CONSTRAINT products_weight_g_check CHECK ((weight_g >= 0)),
    CONSTRAINT products_width_mm_check CHECK ((width_mm >= 0))
);

CREATE TABLE public.reconciliations (
    run text NOT NULL,
    lane integer NOT NULL,
    started_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone NOT NULL,
    failure text,
    applied boolean NOT NULL,
    compared jsonb NOT NULL,
    differences jsonb NOT NULL,
    repaired integer NOT NULL,
    remaining integer NOT NULL,
    report jsonb
);

CREATE TABLE public.recoveries (
    lane integer NOT NULL,
    term bigint NOT NULL,
    cause text NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    steps jsonb DEFAULT '[]'::jsonb NOT NULL,
    ended_at timestamp with time zone,
    outcome text,
    well_at timestamp with time zone,
    detected_at timestamp with time zone,
    leader text,
    primary_address text,
    replid text,
    progress jsonb
);

CREATE TABLE public.reservation_lines (
    reservation_id text NOT NULL COLLATE pg_catalog."C",
    created_epoch bigint NOT NULL,
    created_seq bigint NOT NULL,
    line integer NOT NULL,
    placement integer NOT NULL,
    sku_id text NOT NULL COLLATE pg_catalog."C",
    warehouse_id text NOT NULL COLLATE pg_catalog."C",
    pool text NOT NULL COLLATE pg_catalog."C",
    requested bigint NOT NULL,
    reserved bigint DEFAULT 0 NOT NULL,
    allocated bigint DEFAULT 0 NOT NULL,
    shipped bigint DEFAULT 0 NOT NULL,
    cancelled bigint DEFAULT 0 NOT NULL,
    released bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.reservations (
    reservation_id text NOT NULL COLLATE pg_catalog."C",
    created_epoch bigint NOT NULL,
    created_seq bigint NOT NULL,
    lane integer NOT NULL,
    generation integer NOT NULL,
    status text NOT NULL,
    version integer NOT NULL,
    fingerprint bytea NOT NULL,
    created_s bigint NOT NULL,
    deadline_s bigint,
    commit_fingerprint bigint DEFAULT 0 NOT NULL,
    closed_by text,
    order_id text,
    customer_id text,
    channel text,
    actor text,
    operations bytea[] DEFAULT '{}'::bytea[] NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    CONSTRAINT reservations_closed_by_check CHECK ((closed_by = ANY (ARRAY['cancel'::text, 'ship'::text]))),
    CONSTRAINT reservations_status_check CHECK ((status = ANY (ARRAY['held'::text, 'committed'::text, 'released'::text, 'expired'::text, 'closed'::text])))
);

CREATE TABLE public.schema_migrations (
    version integer NOT NULL,
    name text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.warehouses (
    warehouse_id text NOT NULL COLLATE pg_catalog."C",
    name text,
    location text,
    latitude double precision,
    longitude double precision,
    time_zone text DEFAULT 'UTC'::text NOT NULL,
    cut_off time without time zone DEFAULT '14:00:00'::time without time zone NOT NULL,
    handling_days integer DEFAULT 0 NOT NULL,
    capacity bigint,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT warehouses_capacity_check CHECK ((capacity >= 0)),
    CONSTRAINT warehouses_handling_days_check CHECK (((handling_days >= 0) AND (handling_days <= 365))),
    CONSTRAINT warehouses_latitude_check CHECK (((latitude >= ('-90'::integer)::double precision) AND (latitude <= (90)::double precision))),
    CONSTRAINT warehouses_longitude_check CHECK (((longitude >= ('-180'::integer)::double precision) AND (longitude <= (180)::double precision)))
);

ALTER TABLE ONLY public.entries
    ADD CONSTRAINT entries_pkey PRIMARY KEY (lane, epoch, seq);

ALTER TABLE ONLY public.inventory
    ADD CONSTRAINT inventory_pkey PRIMARY KEY (sku_id, warehouse_id, pool, lane);

ALTER TABLE ONLY public.lanes
    ADD CONSTRAINT lanes_pkey PRIMARY KEY (lane);

ALTER TABLE ONLY public.operations
    ADD CONSTRAINT operations_pkey PRIMARY KEY (operation_id, epoch, seq);

ALTER TABLE ONLY public.positions
    ADD CONSTRAINT positions_pkey PRIMARY KEY (lane);

ALTER TABLE ONLY public.products
    ADD CONSTRAINT products_pkey PRIMARY KEY (sku_id);

ALTER TABLE ONLY public.reconciliations
    ADD CONSTRAINT reconciliations_pkey PRIMARY KEY (run);

ALTER TABLE ONLY public.recoveries
    ADD CONSTRAINT recoveries_pkey PRIMARY KEY (lane, term);

ALTER TABLE ONLY public.reservation_lines
    ADD CONSTRAINT reservation_lines_pkey PRIMARY KEY (reservation_id, created_epoch, created_seq, line, sku_id, warehouse_id, pool);

ALTER TABLE ONLY public.reservations
    ADD CONSTRAINT reservations_pkey PRIMARY KEY (reservation_id, created_epoch, created_seq);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.stock_movements
    ADD CONSTRAINT stock_movements_pkey PRIMARY KEY (lane, epoch, seq, idx, created_at);

ALTER TABLE ONLY public.warehouses
    ADD CONSTRAINT warehouses_pkey PRIMARY KEY (warehouse_id);

CREATE INDEX inventory_suspect ON public.inventory USING btree (sku_id) WHERE (suspect IS NOT NULL);

CREATE INDEX operations_changed ON public.operations USING btree (lane, epoch, seq);

CREATE INDEX products_class ON public.products USING btree (class) WHERE (class IS NOT NULL);

CREATE INDEX reconciliations_newest ON public.reconciliations USING btree (lane, started_at DESC);

CREATE INDEX recoveries_newest ON public.recoveries USING btree (lane, started_at DESC);

CREATE INDEX reservations_changed ON public.reservations USING brin (epoch, seq, generation) WITH (autosummarize='on');

CREATE INDEX reservations_held ON public.reservations USING btree (lane, epoch, seq) WHERE (status = 'held'::text);

CREATE TRIGGER stock_movements_immutable BEFORE DELETE OR UPDATE ON public.stock_movements FOR EACH ROW EXECUTE FUNCTION public.refuse_change();
