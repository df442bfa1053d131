/** A warehouse as the API takes it and PostgreSQL keeps it. */
export interface Warehouse {
  readonly warehouse_id: string;
  readonly name: string | null;
  readonly location: string | null;
  readonly latitude: number | null;
  readonly longitude: number | null;
  /** IANA name. */
  readonly time_zone: string;
  /** HH:MM in the warehouse's own time; orders from then on count as of the next business day. */
  readonly cut_off: string;
  /** Business days between the order and the parcel's leaving. */
  readonly handling_days: number;
  /** Units that it can hold; null: not limited. */
  readonly capacity: number | null;
}

export const WAREHOUSE_DEFAULTS = {
  name: null,
  location: null,
  latitude: null,
  longitude: null,
  time_zone: 'UTC',
  cut_off: '14:00',
  handling_days: 0,
  capacity: null,
} as const satisfies Omit<Warehouse, 'warehouse_id'>;

/** Whether this Node knows the time zone by that name. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
