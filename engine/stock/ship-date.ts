/**
 * When a parcel that is ordered now would leave a warehouse.
 *
 * The order counts as of today, in the warehouse's own time, when it comes before the cut-off on a
 * business day; else as of the next business day. From there, handling takes whole business days.
 * Business days are Monday to Friday: public holidays are not known here.
 */
import type { Warehouse } from './warehouse.ts';

type Dispatch = Pick<Warehouse, 'warehouse_id' | 'time_zone' | 'cut_off' | 'handling_days'>;

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** Estimates and remembers the answer of the minute, because one answer may list many cells. */
export class ShipDates {
  readonly #clocks = new Map<string, Intl.DateTimeFormat>();
  #minute = 0;
  #answers = new Map<string, string>();

  /** `YYYY-MM-DD` in the warehouse's own calendar; `nowMs` is wall time. */
  estimate(warehouse: Dispatch, nowMs: number): string {
    const minute = Math.floor(nowMs / MINUTE_MS);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#answers = new Map();
    }
    const { warehouse_id: id, time_zone: zone, cut_off: cutOff, handling_days: days } = warehouse;
    const question = `${id}|${zone}|${cutOff}|${days}`;
    const known = this.#answers.get(question);
    if (known !== undefined) return known;
    const date = estimateShipDate(warehouse, nowMs, this.#clockOf(zone));
    this.#answers.set(question, date);
    return date;
  }

  #clockOf(timeZone: string): Intl.DateTimeFormat {
    const known = this.#clocks.get(timeZone);
    if (known !== undefined) return known;
    const clock = zoneClock(timeZone);
    this.#clocks.set(timeZone, clock);
    return clock;
  }
}

/** A formatter that costs 20 us to make and 2 us to use, hence kept. */
export function zoneClock(timeZone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat('en-GB', {
    timeZone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
  });
}

export function estimateShipDate(
  warehouse: Dispatch,
  nowMs: number,
  clock: Intl.DateTimeFormat,
): string {
  const local = localTime(clock, nowMs);
  let day = local.day;
  if (local.time >= warehouse.cut_off) day += DAY_MS;
  day = toBusinessDay(day);
  for (let left = warehouse.handling_days; left > 0; left -= 1) day = toBusinessDay(day + DAY_MS);
  return new Date(day).toISOString().slice(0, 10);
}

/** `day` is midnight UTC of the local date; `time` is HH:MM. */
function localTime(clock: Intl.DateTimeFormat, nowMs: number): { day: number; time: string } {
  const parts = new Map(clock.formatToParts(nowMs).map(({ type, value }) => [type, value]));
  const part = (type: Intl.DateTimeFormatPartTypes): string => parts.get(type) ?? '';
  const day = Date.UTC(Number(part('year')), Number(part('month')) - 1, Number(part('day')));
  return { day, time: `${part('hour')}:${part('minute')}` };
}

/** The day itself, or the Monday after a weekend. */
function toBusinessDay(day: number): number {
  const weekday = new Date(day).getUTCDay();
  if (weekday === 6) return day + 2 * DAY_MS;
  return weekday === 0 ? day + DAY_MS : day;
}
