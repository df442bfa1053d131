/**
 * The four warehouses of the demo, at real places, and from which of them an order is planned to leave.
 * The retailer of the data had one in England; the others are ours, so that routing has something to decide.
 */
import { fractionOf } from '../load/random.ts';

interface Place {
  /** Degrees, north and east positive (WGS 84). */
  readonly latitude: number;
  readonly longitude: number;
}

export interface DemoWarehouse extends Place {
  readonly warehouseId: string;
  readonly name: string;
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
  /** IANA name. */
  readonly timeZone: string;
  /** Local time, HH:MM: what is committed by then is handled the same day. */
  readonly cutOffTime: string;
  readonly handlingDays: number;
  /** Part of the orders from the retailer's home country that are planned to leave here; they sum to 1. */
  readonly homeShare: number;
}

export const WAREHOUSES: readonly DemoWarehouse[] = [
  {
    warehouseId: 'uk-daventry',
    name: 'Daventry, United Kingdom',
    country: 'GB',
    latitude: 52.2562,
    longitude: -1.1606,
    timeZone: 'Europe/London',
    cutOffTime: '17:00',
    handlingDays: 0,
    homeShare: 0.55,
  },
  {
    warehouseId: 'nl-venlo',
    name: 'Venlo, Netherlands',
    country: 'NL',
    latitude: 51.3704,
    longitude: 6.1724,
    timeZone: 'Europe/Amsterdam',
    cutOffTime: '18:00',
    handlingDays: 1,
    homeShare: 0.2,
  },
  {
    warehouseId: 'de-leipzig',
    name: 'Leipzig, Germany',
    country: 'DE',
    latitude: 51.3397,
    longitude: 12.3731,
    timeZone: 'Europe/Berlin',
    cutOffTime: '20:00',
    handlingDays: 1,
    homeShare: 0.15,
  },
  {
    warehouseId: 'fr-lyon',
    name: 'Lyon, France',
    country: 'FR',
    latitude: 45.764,
    longitude: 4.8357,
    timeZone: 'Europe/Paris',
    cutOffTime: '16:00',
    handlingDays: 2,
    homeShare: 0.1,
  },
];

/** Nearly all orders (94 of 100 lines) come from here. */
const HOME_COUNTRY = 'United Kingdom';

/** Capitals of the countries in the data, spelled as there: near enough to rank warehouses by distance. */
const CAPITALS: ReadonlyMap<string, Place> = new Map([
  ['Australia', { latitude: -35.2809, longitude: 149.13 }],
  ['Belgium', { latitude: 50.8503, longitude: 4.3517 }],
  ['EIRE', { latitude: 53.3498, longitude: -6.2603 }],
  ['France', { latitude: 48.8566, longitude: 2.3522 }],
  ['Germany', { latitude: 52.52, longitude: 13.405 }],
  ['Italy', { latitude: 41.9028, longitude: 12.4964 }],
  ['Japan', { latitude: 35.6762, longitude: 139.6503 }],
  ['Lithuania', { latitude: 54.6872, longitude: 25.2797 }],
  ['Netherlands', { latitude: 52.3676, longitude: 4.9041 }],
  ['Norway', { latitude: 59.9139, longitude: 10.7522 }],
  ['Poland', { latitude: 52.2297, longitude: 21.0122 }],
  ['Portugal', { latitude: 38.7223, longitude: -9.1393 }],
  ['Spain', { latitude: 40.4168, longitude: -3.7038 }],
  ['Switzerland', { latitude: 46.948, longitude: 7.4474 }],
  ['United Kingdom', { latitude: 51.5074, longitude: -0.1278 }],
]);

const EARTH_RADIUS_KM = 6371;

/** Great-circle distance (haversine). */
export function distanceKm(from: Place, to: Place): number {
  const a =
    halfChordSquared(from.latitude, to.latitude) +
    Math.cos(radians(from.latitude)) *
      Math.cos(radians(to.latitude)) *
      halfChordSquared(from.longitude, to.longitude);
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(a));
}

function halfChordSquared(fromDegrees: number, toDegrees: number): number {
  return Math.sin(radians(toDegrees - fromDegrees) / 2) ** 2;
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}

const NEAREST_FIRST: ReadonlyMap<string, readonly string[]> = new Map(
  [...CAPITALS].map(([country, capital]) => [
    country,
    WAREHOUSES.toSorted(
      (left, right) => distanceKm(capital, left) - distanceKm(capital, right),
    ).map((warehouse) => warehouse.warehouseId),
  ]),
);

/**
 * Ids of all warehouses in the order in which an order should try them. From abroad: nearest first. From the
 * home country, where nearest would send all to one place: first the one that the order's id falls to, by
 * `homeShare`, then nearest first.
 */
export function rankWarehouses(country: string, orderId: string): readonly string[] {
  const nearest = NEAREST_FIRST.get(country);
  if (nearest === undefined) {
    throw new Error(
      `country "${country}" of order ${orderId} has no place in bench/orders/warehouses.ts; add its capital`,
    );
  }
  if (country !== HOME_COUNTRY) return nearest;
  const first = homeWarehouse(orderId);
  return [first, ...nearest.filter((warehouseId) => warehouseId !== first)];
}

/** Where something without a customer (a write-off, a find) takes place: by the key's fall, as `homeShare` says. */
export function homeWarehouse(key: string): string {
  let left = fractionOf(key);
  for (const { warehouseId, homeShare } of WAREHOUSES) {
    left -= homeShare;
    if (left < 0) return warehouseId;
  }
  // The shares sum to 1 but for rounding, which is the last one's.
  return WAREHOUSES.at(-1)?.warehouseId ?? '';
}
