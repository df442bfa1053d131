import { describe, expect, it } from 'vitest';
import { estimateShipDate, ShipDates, zoneClock } from './ship-date.ts';

const warehouse = (
  change: Partial<{ time_zone: string; cut_off: string; handling_days: number }>,
) => ({
  warehouse_id: 'LON',
  time_zone: 'UTC',
  cut_off: '14:00',
  handling_days: 0,
  ...change,
});

function shipDate(at: string, change: Parameters<typeof warehouse>[0] = {}): string {
  const subject = warehouse(change);
  return estimateShipDate(subject, Date.parse(at), zoneClock(subject.time_zone));
}

describe('estimateShipDate', () => {
  // 2026-11-20 is a Friday.
  it.each([
    ['2026-11-20T13:59:59Z', '2026-11-20', 'before the cut-off: today'],
    ['2026-11-20T14:00:00Z', '2026-11-23', 'at the cut-off: the next business day'],
    ['2026-11-19T23:00:00Z', '2026-11-20', 'after it on a Thursday: Friday'],
    ['2026-11-21T09:00:00Z', '2026-11-23', 'on a Saturday: Monday'],
    ['2026-11-21T18:00:00Z', '2026-11-23', 'late on a Saturday: still Monday'],
    ['2026-11-22T18:00:00Z', '2026-11-23', 'late on a Sunday: still Monday'],
  ])('%s ships on %s (%s)', (at, expected) => {
    expect(shipDate(at)).toBe(expected);
  });

  it('counts handling in business days', () => {
    expect(shipDate('2026-11-20T10:00:00Z', { handling_days: 1 })).toBe('2026-11-23');
    expect(shipDate('2026-11-20T10:00:00Z', { handling_days: 6 })).toBe('2026-11-30');
    expect(shipDate('2026-11-21T10:00:00Z', { handling_days: 1 })).toBe('2026-11-24');
  });

  it("goes by the warehouse's own clock and calendar", () => {
    // Friday 23:30 in London is Saturday 08:30 in Tokyo.
    expect(shipDate('2026-11-20T23:30:00Z', { time_zone: 'Asia/Tokyo' })).toBe('2026-11-23');
    // Thursday 23:30 UTC is Thursday 18:30 in New York: behind its cut-off, so Friday.
    expect(shipDate('2026-11-19T23:30:00Z', { time_zone: 'America/New_York' })).toBe('2026-11-20');
    // Friday 02:00 UTC is still Thursday there, 21:00.
    expect(
      shipDate('2026-11-20T02:00:00Z', { time_zone: 'America/New_York', cut_off: '23:00' }),
    ).toBe('2026-11-19');
  });

  it('is right where the clock changes', () => {
    // 2026-03-27 is a Friday; on Sunday the clock of Berlin goes forward.
    expect(shipDate('2026-03-27T12:59:00Z', { time_zone: 'Europe/Berlin' })).toBe('2026-03-27');
    expect(shipDate('2026-03-30T11:59:00Z', { time_zone: 'Europe/Berlin' })).toBe('2026-03-30');
    expect(shipDate('2026-03-30T12:00:00Z', { time_zone: 'Europe/Berlin' })).toBe('2026-03-31');
  });

  it('takes midnight as a cut-off: nothing leaves on the day of its order', () => {
    expect(shipDate('2026-11-18T00:00:00Z', { cut_off: '00:00' })).toBe('2026-11-19');
  });
});

describe('ShipDates', () => {
  it('answers anew in each minute and for each description', () => {
    const dates = new ShipDates();
    const friday = Date.parse('2026-11-20T13:59:59Z');
    expect(dates.estimate(warehouse({}), friday)).toBe('2026-11-20');
    expect(dates.estimate(warehouse({}), friday)).toBe('2026-11-20');
    expect(dates.estimate(warehouse({ handling_days: 1 }), friday)).toBe('2026-11-23');
    expect(dates.estimate(warehouse({}), friday + 1_000)).toBe('2026-11-23');
  });
});
