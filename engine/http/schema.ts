/**
 * The bodies that the API takes, as JSON Schema built with TypeBox: one source for the check at the
 * door, the static types of the handlers and the OpenAPI document. Unknown fields are refused.
 */
import type { Static, TSchema } from 'typebox';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { QUANTITY_MAX } from '../domain/cell.ts';
import { CART_CELLS_MAX } from '../domain/script-limits.ts';
import {
  CART_LINES_MAX,
  DEFAULT_RESERVATION_POLICY,
  PREFERENCES_MAX,
  SETTLE_LINES_MAX,
} from '../reservations/policy.ts';
import type { JsonValue } from './json.ts';
import type { ProblemError } from './problem.ts';
import { findFaults } from './schema-faults.ts';

export const STRICT = { additionalProperties: false } as const;
export const ID_TEXT = '^[A-Za-z0-9._:-]{1,64}$';
export const ID_WORDS = 'an id: 1 to 64 characters of A-Z a-z 0-9 . _ : -, or an integer from 0 up';

const idText = Type.String({ pattern: ID_TEXT });
const idInteger = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
/** An integer becomes a string. */
export const id = Type.Union([idText, idInteger], { 'x-expected': ID_WORDS });
/** A reference of somebody else's system: whatever it prints. */
export const reference = Type.Union(
  [Type.String({ pattern: '^[\\x20-\\x7e]{1,64}$' }), idInteger],
  {
    'x-expected': '1 to 64 printable ASCII characters, or an integer from 0 up',
  },
);
const preference = Type.Union(
  [idText, idInteger, Type.Array(id, { minItems: 1, maxItems: PREFERENCES_MAX })],
  {
    'x-expected': `${ID_WORDS}; or a list of them in order of preference`,
    description: 'One warehouse, several in order of preference, or absent: wherever it stands.',
  },
);
export const quantity = Type.Integer({ minimum: 1, maximum: QUANTITY_MAX });

const cartItem = Type.Object(
  { sku_id: id, warehouse_id: Type.Optional(preference), quantity },
  STRICT,
);
const cartItems = Type.Array(cartItem, {
  minItems: 1,
  maxItems: CART_LINES_MAX,
  description:
    `All of them together look at ${CART_CELLS_MAX} warehouses at most: those that an item names, and where an ` +
    'item names none, all where its SKU stands. One line alone may be served from any number.',
});

const settleItem = Type.Object({ sku_id: id, warehouse_id: Type.Optional(id), quantity }, STRICT);
const settleLines = Type.Array(settleItem, {
  minItems: 1,
  maxItems: SETTLE_LINES_MAX,
  description: 'Absent: all that the reservation has.',
});

export interface TtlBounds {
  readonly ttlMinS: number;
  readonly ttlMaxS: number;
}

/** The request bodies of a deployment. */
export function requestSchemas(bounds: TtlBounds = DEFAULT_RESERVATION_POLICY) {
  const ttl = Type.Integer({ minimum: bounds.ttlMinS, maximum: bounds.ttlMaxS });
  return {
    reserveItems: cartItems,
    reserve: Type.Object(
      {
        items: cartItems,
        reservation_id: Type.Optional(id),
        order_id: Type.Optional(reference),
        customer_id: Type.Optional(reference),
        channel: Type.Optional(Type.String({ pattern: ID_TEXT, 'x-expected': ID_WORDS })),
        ttl_seconds: Type.Optional(ttl),
        mode: Type.Optional(
          Type.Enum(['all', 'partial'], {
            description: 'all (the default): everything or nothing; partial: what there is.',
          }),
        ),
        split: Type.Optional(
          Type.Boolean({
            description: 'Whether a line may come from several warehouses; default true.',
          }),
        ),
      },
      STRICT,
    ),
    commit: Type.Object(
      {
        reservation_id: id,
        lines: Type.Optional(settleLines),
        hold_epoch: Type.Optional(
          Type.Integer({
            minimum: 0,
            maximum: Number.MAX_SAFE_INTEGER,
            description:
              'The epoch of the answer to the reserve. With lines that each name their warehouse, ' +
              'a hold that is gone may be taken again in the same step.',
          }),
        ),
      },
      STRICT,
    ),
    settle: Type.Object({ reservation_id: id, lines: Type.Optional(settleLines) }, STRICT),
    extend: Type.Object({ reservation_id: id, ttl_seconds: ttl }, STRICT),
  } as const;
}

export const AVAILABILITY_SKUS_MAX = 1_000;

export const availabilityRequest = Type.Object(
  { sku_ids: Type.Array(id, { minItems: 1, maxItems: AVAILABILITY_SKUS_MAX }) },
  STRICT,
);

export type ReserveBody = Static<ReturnType<typeof requestSchemas>['reserve']>;

/** The body as what it was found to be, or what is wrong with it. */
export type BodyCheck<Body> = (
  value: JsonValue,
) => { readonly body: Body } | { readonly faults: readonly ProblemError[] };

/** Compiles the schema; once, at start. */
export function compileBody<Schema extends TSchema>(schema: Schema): BodyCheck<Static<Schema>> {
  const validator = Compile(schema);
  return (value) => {
    if (validator.Check(value)) return { body: value };
    const faults = findFaults(schema, value);
    // The walk and the check agree (a property test says so); if ever not, the check decides.
    return {
      faults: faults.length > 0 ? faults : [{ pointer: '', message: 'is not as described' }],
    };
  };
}
