/** The bodies about the catalogue and about stock: see schema.ts. */
import type { TSchema } from 'typebox';
import Type from 'typebox';
import { QUANTITY_MAX } from '../domain/cell.ts';
import { ADJUST_REASONS, RECEIVE_REASONS } from '../stock/reasons.ts';
import { ID_TEXT, ID_WORDS, id, quantity, reference, STRICT } from './schema.ts';

const text = (charactersMax: number) =>
  Type.String({
    pattern: `^[^\\p{Cc}\\p{Cs}]{0,${charactersMax}}$`,
    'x-expected': `text of at most ${charactersMax} characters without control characters`,
  });

/** As `text`, with line breaks and tabs. */
const prose = (charactersMax: number) =>
  Type.String({
    pattern: `^[^\\p{Cs}\\x00-\\x08\\x0b-\\x1f\\x7f]{0,${charactersMax}}$`,
    'x-expected': `text of at most ${charactersMax} characters`,
  });

export const MOVEMENT_LINES_MAX = 1_000;

const unitCost = Type.Union(
  [
    Type.String({ pattern: '^[0-9]{1,12}(\\.[0-9]{1,4})?$' }),
    Type.Number({ minimum: 0, maximum: 999_999_999_999 }),
  ],
  {
    'x-expected':
      'a price of one unit from 0 up, with at most 12 digits before and 4 behind the point',
  },
);
const currency = Type.String({
  pattern: '^[A-Z]{3}$',
  'x-expected': 'a currency of ISO 4217 such as EUR',
});
const cost = { unit_cost: Type.Optional(unitCost), currency: Type.Optional(currency) };
const movementReference = Type.Object(
  { type: Type.String({ pattern: ID_TEXT, 'x-expected': ID_WORDS }), id: reference },
  STRICT,
);
const signedQuantity = Type.Integer({
  minimum: -QUANTITY_MAX,
  maximum: QUANTITY_MAX,
  description: 'Units that come (positive) or go (negative); not 0.',
});

/** One line at the top of the body, or several under `lines`. */
function movementSchemas<Quantity extends TSchema, Reason extends TSchema>(
  units: Quantity,
  reason: Reason,
) {
  const line = { sku_id: id, warehouse_id: id, quantity: units, ...cost };
  const about = { reason, reference: Type.Optional(movementReference) };
  const lines = Type.Array(Type.Object(line, STRICT), {
    minItems: 1,
    maxItems: MOVEMENT_LINES_MAX,
  });
  return {
    single: Type.Object({ ...line, ...about }, STRICT),
    several: Type.Object({ lines, ...about }, STRICT),
  } as const;
}

export const receiveRequest = movementSchemas(
  quantity,
  Type.Optional(Type.Enum([...RECEIVE_REASONS])),
);
export const adjustRequest = movementSchemas(signedQuantity, Type.Enum([...ADJUST_REASONS]));

const units = (maximum: number) => Type.Integer({ minimum: 0, maximum });

export const productRequest = Type.Object(
  {
    class: Type.Optional(
      Type.String({
        pattern: ID_TEXT,
        'x-expected': '1 to 64 characters of A-Z a-z 0-9 . _ : -',
        description: 'A deployment may have durability levels of its own for a class of products.',
      }),
    ),
    name: Type.Optional(text(200)),
    description: Type.Optional(prose(4_000)),
    weight_g: Type.Optional(units(1_000_000_000)),
    length_mm: Type.Optional(units(1_000_000)),
    width_mm: Type.Optional(units(1_000_000)),
    height_mm: Type.Optional(units(1_000_000)),
    attributes: Type.Optional(
      Type.Object(
        {},
        {
          additionalProperties: Type.Union([text(1_000), Type.Number(), Type.Boolean()], {
            'x-expected': 'a text of at most 1000 characters, a number, true or false',
          }),
          propertyNames: Type.String({ pattern: ID_TEXT, 'x-expected': ID_WORDS }),
          maxProperties: 100,
          description: 'Anything else that is worth keeping about the product.',
        },
      ),
    ),
  },
  STRICT,
);

export const warehouseRequest = Type.Object(
  {
    name: Type.Optional(text(200)),
    location: Type.Optional(text(500)),
    latitude: Type.Optional(Type.Number({ minimum: -90, maximum: 90 })),
    longitude: Type.Optional(Type.Number({ minimum: -180, maximum: 180 })),
    time_zone: Type.Optional(
      Type.String({ maxLength: 64, minLength: 1, description: 'IANA name; default UTC.' }),
    ),
    cut_off: Type.Optional(
      Type.String({
        pattern: '^([01][0-9]|2[0-3]):[0-5][0-9]$',
        'x-expected': 'a time HH:MM from 00:00 to 23:59',
        description:
          'Orders before it count as of today, in the time of the warehouse; default 14:00.',
      }),
    ),
    handling_days: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 365, description: 'Business days; default 0.' }),
    ),
    capacity: Type.Optional(units(1_000_000_000_000)),
  },
  STRICT,
);
