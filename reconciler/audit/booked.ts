/** What the ledger booked of an entry, by cell, beside what the entry did. */
import type { Effect } from '../../engine/testing/auditor/effects.ts';
import type { MovementRow } from './snapshot.ts';
import { fieldOf } from './stored-reservations.ts';

export function book(booked: Map<string, Effect>, row: MovementRow): void {
  const add = (warehouse: string | null, location: string, units: number) => {
    const at = warehouse ?? row.source_warehouse ?? row.dest_warehouse ?? '';
    const name = `${row.sku_id} ${fieldOf({ warehouse_id: at, pool: row.pool })}`;
    const effect = booked.get(name) ?? { ...NO_EFFECT };
    booked.set(name, effect);
    if (location === 'available' || location === 'reserved' || location === 'allocated') {
      effect[location] += units;
    } else if (location === 'customer') effect.shipped += units;
    else effect.granted -= units;
  };
  add(row.dest_warehouse, row.dest_location, row.quantity);
  add(row.source_warehouse, row.source_location, -row.quantity);
}

const NO_EFFECT: Readonly<Effect> = {
  available: 0,
  reserved: 0,
  allocated: 0,
  shipped: 0,
  granted: 0,
};

export function isSameEffect(one: Effect | undefined, other: Effect | undefined): boolean {
  const [a, b] = [one ?? NO_EFFECT, other ?? NO_EFFECT];
  return (
    a.available === b.available &&
    a.reserved === b.reserved &&
    a.allocated === b.allocated &&
    a.shipped === b.shipped &&
    a.granted === b.granted
  );
}

export function showEffect(effect: Effect = NO_EFFECT): string {
  const parts = Object.entries(effect)
    .filter(([, units]) => units !== 0)
    .map(([balance, units]) => `${balance} ${units > 0 ? '+' : ''}${units}`);
  return parts.length === 0 ? 'no movement' : parts.join(', ');
}

export function explainMovements(booked: Effect | undefined, due: Effect | undefined): string {
  if (due === undefined) return 'the ledger has movements that the entry did not make';
  if (booked === undefined) return 'the ledger lost the movements of the entry';
  return 'the movements in the ledger are not what the entry did';
}
