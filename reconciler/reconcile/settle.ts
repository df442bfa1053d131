/**
 * Compares what Redis and PostgreSQL say of the same names while both go on. Each store is read
 * again, in turn, until it agrees, or until neither moved over two looks and it still does not
 * (compare.ts). A cell that is written in every look is followed through the log instead: PostgreSQL
 * must have what the last entry up to its position states.
 */

import type { CellResult } from '../../engine/events/entry.ts';
import { decodeEntry } from '../../engine/events/entry-codec.ts';
import { comparePlaces, type Place } from '../../engine/log/place.ts';
import { cellsAgree, judgeCell, judgeRecord, recordsAgree } from './compare.ts';
import type { CellName, RecordPlace, RedisCell, RedisRecord, StoredRecord } from './facts.ts';
import { showName } from './facts.ts';
import type { Run } from './run-context.ts';
import { rowIn } from './stored.ts';

const ROUNDS_MAX = 4;
const ENTRIES_MAX = 256;
const NO_CELL: RedisCell = { kind: 'absent' };

export interface SeenCell {
  readonly name: CellName;
  readonly redis: RedisCell;
}

export async function settleCells(run: Run, seen: readonly SeenCell[], at: Place): Promise<void> {
  let before = await withRows(run, seen, at);
  let open = before.filter(({ redis, stored }) => !cellsAgree(redis, stored));
  for (let round = 0; round < ROUNDS_MAX && open.length > 0; round += 1) {
    const names = open.map(({ name }) => name);
    const look = await run.look.look({ cells: names });
    const again = names.map((name, i) => ({ name, redis: look.cells[i] ?? NO_CELL }));
    const after = await withRows(run, again, look.stamp);
    before = open;
    open = after.filter((now, i) => {
      const old = before[i];
      if (old === undefined) return false;
      const verdict = judgeCell([old.redis, now.redis], [old.stored, now.stored]);
      if (verdict === 'drift') run.suspects.addCell(now.name);
      return verdict === 'moved';
    });
  }
  if (open.length > 0)
    await follow(
      run,
      open.map(({ name }) => name),
    );
}

async function withRows(run: Run, seen: readonly SeenCell[], at: Place) {
  const skus = seen.map(({ name }) => name.sku);
  const rows = await run.stored.snapshot(at, (view) => view.cellsOf(skus));
  return seen.map((each) => ({ ...each, stored: rows.get(showName(each.name)) }));
}

/** Cells that are written all the time. */
async function follow(run: Run, names: readonly CellName[]): Promise<void> {
  const look = await run.look.look({ cells: names });
  const skus = names.map(({ sku }) => sku);
  const { rows, position } = await run.stored.snapshot(look.stamp, async (view) => ({
    rows: await view.cellsOf(skus),
    position: view.position,
  }));
  const results = await resultsBetween(run, look.stamp, position, new Set(names.map(showName)));
  if (results === undefined) {
    run.counts.unsettled += names.length;
    return;
  }
  names.forEach((name, i) => {
    const last = results.get(showName(name));
    const redis = last === undefined ? look.cells[i] : asRedis(last);
    if (!cellsAgree(redis ?? NO_CELL, rows.get(showName(name)))) run.suspects.addCell(name);
  });
}

function asRedis({ available, reserved, allocated, version }: CellResult): RedisCell {
  return {
    kind: 'cell',
    bytes: Buffer.alloc(0),
    cell: { available, reserved, allocated, version },
  };
}

/** The last result of each cell in (from, to]; undefined when the log was trimmed in between. */
async function resultsBetween(
  run: Run,
  from: Place,
  to: Place,
  names: ReadonlySet<string>,
): Promise<Map<string, CellResult> | undefined> {
  const results = new Map<string, CellResult>();
  let at = from;
  while (comparePlaces(at, to) < 0) {
    const { entries } = await run.state.tail(at, ENTRIES_MAX);
    if (entries.length === 0) return undefined;
    for (const { bytes } of entries) {
      const entry = decodeEntry(bytes);
      if (comparePlaces(entry.predecessor, at) !== 0) return undefined;
      if (comparePlaces(entry.key, to) > 0) return results;
      at = entry.key;
      for (const cell of entry.cells) {
        const name = showName(cell);
        if (names.has(name)) results.set(name, cell);
      }
    }
  }
  return results;
}

export interface SeenRecord {
  readonly place: RecordPlace;
  readonly redis: RedisRecord;
}

/** `accept` says whether a difference matters: nobody looks at records of long ago. */
export async function settleRecords(
  run: Run,
  seen: readonly SeenRecord[],
  at: Place,
  accept: (place: RecordPlace, stored: StoredRecord | undefined) => boolean,
): Promise<void> {
  let before = await withRecords(run, seen, at);
  let open = before.filter(({ place, redis, stored }) => {
    return !recordsAgree(redis, stored) && accept(place, stored);
  });
  for (let round = 0; round < ROUNDS_MAX && open.length > 0; round += 1) {
    const places = open.map(({ place }) => place);
    const look = await run.look.look({ records: places });
    const again = places.map((place, i) => ({ place, redis: look.records[i] ?? NO_RECORD }));
    const after = await withRecords(run, again, look.stamp);
    before = open;
    open = after.filter((now, i) => {
      const old = before[i];
      if (old === undefined) return false;
      const verdict = judgeRecord([old.redis, now.redis], [old.stored, now.stored]);
      if (verdict === 'drift' && accept(now.place, now.stored)) run.suspects.addRecord(now.place);
      return verdict === 'moved';
    });
  }
  run.counts.unsettled += open.length;
}

const NO_RECORD: RedisRecord = { kind: 'absent' };

async function withRecords(run: Run, seen: readonly SeenRecord[], at: Place) {
  const ids = seen.map(({ place }) => place.id);
  const rows = await run.stored.snapshot(at, (view) => view.recordsOf(ids));
  return seen.map((each) => ({ ...each, stored: storedAt(rows.get(each.place.id), each) }));
}

/** Redis need not have what is not the newest under its id; what it has must be some row. */
function storedAt(
  rows: readonly StoredRecord[] | undefined,
  { place, redis }: SeenRecord,
): StoredRecord | undefined {
  const row = rowIn(rows, place.generation);
  return redis.kind === 'absent' && row !== rows?.[0] ? undefined : row;
}
