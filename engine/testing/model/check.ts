/** Checks of single replies against what the model expects; each throws Disagreement. */
import type { HeldUnits, Reply } from './ask.ts';
import type { Booking } from './shop.ts';
import { Disagreement } from './shop.ts';

/** Throws unless the reply is the expected one. */
export function must(
  reply: Reply,
  status: number,
  code: string | undefined,
  replayed = false,
): void {
  if (reply.status === status && reply.code === code && reply.replayed === replayed) return;
  const expected = `${status} ${code ?? 'success'}${replayed ? ' (replayed)' : ''}`;
  throw new Disagreement(`expected ${expected}`);
}

/** The reply shows the reservation as it is. */
export function mustShow(booking: Booking, reply: Reply): void {
  const { status, lines } = reply.body;
  if (status !== booking.state) throw new Disagreement(`expected it to be ${booking.state}`);
  const shown = showUnits(readUnits(lines));
  const units = showUnits(booking.units);
  if (shown !== units) throw new Disagreement(`expected its units to be ${units || 'none'}`);
}

export function showUnits(units: readonly HeldUnits[]): string {
  return units
    .filter((held) => held.units > 0)
    .map(({ line, sku, warehouse, units: count }) => `line ${line}: ${count} ${sku}@${warehouse}`)
    .sort()
    .join(', ');
}

/** The placements that a reply shows. */
export function readUnits(lines: unknown): HeldUnits[] {
  if (!Array.isArray(lines)) throw new Disagreement('expected lines');
  return lines.flatMap((each: ShownLine) =>
    each.placements.map(({ warehouse_id: warehouse, quantity: units }) => {
      return { line: each.line, sku: each.sku_id, warehouse, units };
    }),
  );
}

interface ShownLine {
  readonly line: number;
  readonly sku_id: string;
  readonly placements: readonly { readonly warehouse_id: string; readonly quantity: number }[];
}
