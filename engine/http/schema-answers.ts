/** The bodies that the API answers with; the tests hold real answers to them. */
import Type from 'typebox';
import { DURABILITY_LEVELS } from '../domain/durability.ts';
import { RESERVATION_STATES } from '../domain/reservation.ts';
import { STRICT } from './schema.ts';

const id = Type.String();
const units = Type.Integer();
const instant = Type.String({ format: 'date-time' });
const durability = Type.Enum([...DURABILITY_LEVELS], {
  description: 'What this answer is sure to survive.',
});
const pool = Type.Optional(Type.String({ description: 'Absent: the shared pool.' }));

const placement = Type.Object({ warehouse_id: id, quantity: units, pool }, STRICT);

export const reservationAnswer = Type.Object(
  {
    reservation_id: id,
    status: Type.Enum([...RESERVATION_STATES]),
    epoch: Type.Integer({
      description: 'Of the lane; a commit that repeats it as hold_epoch may take lost units again.',
    }),
    durability,
    version: Type.Optional(Type.Integer({ description: 'Counts the changes, while it is live.' })),
    expires_at: Type.Optional(
      Type.String({ format: 'date-time', description: 'While it is held: wall time.' }),
    ),
    ttl_seconds: Type.Optional(
      Type.Integer({ description: 'While it is held: whole seconds until expires_at.' }),
    ),
    lines: Type.Array(
      Type.Object(
        {
          line: Type.Integer({ description: 'Position in the merged cart, from 0.' }),
          sku_id: id,
          requested: units,
          reserved: Type.Optional(Type.Integer({ description: 'While it is held.' })),
          allocated: Type.Optional(
            Type.Integer({ description: 'Once committed: neither shipped nor cancelled.' }),
          ),
          placements: Type.Array(placement),
          missing: Type.Optional(
            Type.Integer({ description: 'Of a partial reserve that was just made.' }),
          ),
        },
        STRICT,
      ),
      { description: 'What it still has; empty once released, expired or closed.' },
    ),
  },
  STRICT,
);

export const availabilityAnswer = Type.Object(
  {
    sku_id: id,
    total_available: units,
    version: Type.Integer({ description: 'Grows with every change of a cell of the SKU.' }),
    as_of: instant,
    stale: Type.Optional(
      Type.Boolean({
        description:
          'True: from PostgreSQL, while the lane is closed or Redis is away. Nothing is decided ' +
          'on it: a reserve is refused until the lane is open again.',
      }),
    ),
    age_ms: Type.Optional(
      Type.Integer({
        description: 'With stale: how long ago as_of was, the last change that PostgreSQL has.',
      }),
    ),
    unreadable: Type.Optional(
      Type.Boolean({
        description:
          'True: of some of it Redis has nothing that can be read, PostgreSQL could not be asked, and ' +
          'total_available is without it. A reserve that needs it is 503 unreadable until an operator has repaired it.',
      }),
    ),
    warehouses: Type.Array(
      Type.Object(
        {
          warehouse_id: id,
          pool,
          available_qty: units,
          reserved_qty: units,
          allocated_qty: units,
          estimated_ship_date: Type.Union([Type.String({ format: 'date' }), Type.Null()], {
            description: 'Null: nothing is available, or the warehouse is not described.',
          }),
          unreadable: Type.Optional(
            Type.Boolean({
              description: 'True: the quantities are not known, and are shown as 0.',
            }),
          ),
        },
        STRICT,
      ),
    ),
  },
  STRICT,
);

export const availabilitiesAnswer = Type.Object(
  {
    stale: Type.Optional(Type.Boolean({ description: 'True: all of it is from PostgreSQL.' })),
    skus: Type.Array(availabilityAnswer),
    unknown: Type.Array(id, {
      description: 'With stale, one that was described without durability=persisted may be here.',
    }),
  },
  STRICT,
);

export const movementAnswer = Type.Object(
  {
    operation_id: id,
    replayed: Type.Boolean(),
    durability,
    movement_ids: Type.Optional(Type.Array(id, { description: 'One a line, in their order.' })),
    cells: Type.Array(
      Type.Object(
        {
          sku_id: id,
          warehouse_id: id,
          pool,
          available_qty: units,
          reserved_qty: units,
          allocated_qty: units,
          version: Type.Integer(),
        },
        STRICT,
      ),
      { description: 'The balances of each line as they now are.' },
    ),
  },
  STRICT,
);

const nullable = <Schema extends Type.TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);
const text = nullable(Type.String());
const measure = nullable(Type.Integer());

export const productAnswer = Type.Object(
  {
    sku_id: id,
    class: text,
    name: text,
    description: text,
    weight_g: measure,
    length_mm: measure,
    width_mm: measure,
    height_mm: measure,
    attributes: Type.Object({}, { additionalProperties: true }),
    durability,
  },
  STRICT,
);

export const warehouseAnswer = Type.Object(
  {
    warehouse_id: id,
    name: text,
    location: text,
    latitude: nullable(Type.Number()),
    longitude: nullable(Type.Number()),
    time_zone: Type.String(),
    cut_off: Type.String(),
    handling_days: Type.Integer(),
    capacity: measure,
  },
  STRICT,
);

/** RFC 9457; further members by code: reservation_id, reservation, lines, position. */
export const problemAnswer = Type.Object(
  {
    type: Type.String({ format: 'uri-reference' }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String(),
    detail: Type.Optional(Type.String()),
    request_id: Type.String(),
    retryable: Type.Boolean({ description: 'Whether the same request may be sent again.' }),
    reservation_id: Type.Optional(id),
    reservation: Type.Optional(reservationAnswer),
    lines: Type.Optional(
      Type.Array(
        Type.Object(
          { line: Type.Integer(), sku_id: id, requested: units, available: units, missing: units },
          STRICT,
        ),
        { description: 'Of insufficient: what was asked for, what there was.' },
      ),
    ),
    errors: Type.Optional(
      Type.Array(
        Type.Object(
          {
            pointer: Type.String({ description: 'JSON pointer into the body (RFC 6901).' }),
            message: Type.String(),
          },
          STRICT,
        ),
      ),
    ),
  },
  { additionalProperties: true },
);

export const healthAnswer = Type.Object(
  { status: Type.Literal('ok'), uptime_s: Type.Integer() },
  STRICT,
);

export const readinessAnswer = Type.Object(
  {
    status: Type.Enum(['ready', 'degraded', 'not_ready'], {
      description:
        'ready: all is well. degraded: some calls are 503, or soon will be, others answered. ' +
        'not_ready: all are 503.',
    }),
    checks: Type.Object(
      {},
      { additionalProperties: Type.String(), description: 'ok, or what is wrong, by dependency.' },
    ),
  },
  STRICT,
);

export const problemPageAnswer = Type.Object(
  {
    code: Type.String(),
    status: Type.Integer(),
    title: Type.String(),
    retryable: Type.Boolean(),
    meaning: Type.String(),
  },
  STRICT,
);

export const problemPagesAnswer = Type.Object({ problems: Type.Array(problemPageAnswer) }, STRICT);
