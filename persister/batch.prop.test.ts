/** One batch of a whole history must end in the state of the lane that wrote it. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { foldBatch } from './batch.ts';
import type { Batch, CreatedRow } from './rows.ts';
import { history, play } from './testing/random-history.ts';
import { SimulatedLane } from './testing/simulated-lane.ts';

it('folds any history into the state of its lane, and a ledger that explains it', () => {
  fc.assert(
    fc.property(history, (happenings) => {
      const lane = new SimulatedLane();
      const batch = foldBatch(play(lane, happenings));
      expect(cellsOf(batch)).toEqual(cellsOfLane(lane));
      expect(ledgerOf(batch)).toEqual(cellsOf(batch));
      expect(batch.cells.filter((cell) => cell.suspect !== undefined)).toEqual([]);
      const made = new Map(batch.created.map((row) => [row.id, row]));
      const remade = new Map(batch.settled.map((row) => [row.id, row]));
      for (const [id, record] of lane.reservations) {
        const row = made.get(id) ?? remade.get(id);
        expect(row, id).toBeDefined();
        expect(row?.status).toBe(record.state);
        expect(row?.version).toBe(record.version);
        expect(row?.operations).toEqual(record.operations);
        expect(row?.fingerprint).toEqual(record.fingerprint);
        expect(row?.createdS).toBe(record.createdS);
        expect(row?.commitFingerprint).toBe(record.commitFingerprint);
        expect(row?.closedBy).toBe(record.closedBy);
        if (record.state === 'held') expect(row?.deadlineS).toBe(record.deadlineS);
        expect(liveUnits(row)).toEqual(unitsOfLane(record.state, record.placements));
      }
      // Without a hold in this history only a commit that takes units again may begin a row.
      for (const row of remade.values()) expect(row.revived).toBe(true);
    }),
    { numRuns: 300 },
  );
});

it('gives every movement of an entry a place of its own', () => {
  fc.assert(
    fc.property(history, (happenings) => {
      const { movements } = foldBatch(play(new SimulatedLane(), happenings));
      const places = movements.map(({ cause, index }) => `${cause.epoch}-${cause.seq}-${index}`);
      expect(new Set(places).size).toBe(places.length);
    }),
  );
});

function cellsOf(batch: Batch): Record<string, number[]> {
  return Object.fromEntries(
    batch.cells.map((row) => {
      expect([row.availableBefore, row.reservedBefore, row.allocatedBefore]).toEqual([0, 0, 0]);
      const name = `${row.sku} ${row.warehouse} ${row.pool}`;
      return [name, [row.available, row.reserved, row.allocated]];
    }),
  );
}

function cellsOfLane(lane: SimulatedLane): Record<string, number[]> {
  return Object.fromEntries(
    Array.from(lane.cells.values(), (cell) => {
      const [warehouse, pool = 'shared'] = cell.field.split('/');
      return [`${cell.sku} ${warehouse} ${pool}`, [cell.available, cell.reserved, cell.allocated]];
    }),
  );
}

function ledgerOf(batch: Batch): Record<string, number[]> {
  const columns: readonly string[] = ['available', 'reserved', 'allocated'];
  const balances: Record<string, number[]> = {};
  for (const { cause, cell, quantity } of batch.movements) {
    expect(quantity).toBeGreaterThan(0);
    const name = `${cell.sku} ${cell.warehouse} ${cell.pool}`;
    const row = balances[name] ?? [0, 0, 0];
    balances[name] = row;
    const from = columns.indexOf(cause.source);
    const to = columns.indexOf(cause.dest);
    if (from >= 0) row[from] = (row[from] ?? 0) - quantity;
    if (to >= 0) row[to] = (row[to] ?? 0) + quantity;
  }
  return balances;
}

function liveUnits(row: Pick<CreatedRow, 'lines'> | undefined) {
  return (row?.lines ?? [])
    .map(({ line, cell, reserved, allocated }) => ({ line, ...cell, reserved, allocated }))
    .filter(({ reserved, allocated }) => reserved !== 0 || allocated !== 0)
    .sort((a, b) => a.line - b.line);
}

function unitsOfLane(
  state: string,
  placements: readonly { line: number; sku: string; field: string; units: number }[],
) {
  if (state !== 'held' && state !== 'committed') return [];
  return placements
    .filter(({ units }) => units > 0)
    .map(({ line, sku, field, units }) => {
      const [warehouse, pool = 'shared'] = field.split('/');
      const [reserved, allocated] = state === 'held' ? [units, 0] : [0, units];
      return { line, sku, warehouse, pool, reserved, allocated };
    });
}
