/** A repair as lua/commands/repair.lua takes it; its header has the layout. */
import type { ReservationId } from '../../engine/domain/ids.ts';
import { packId } from '../../engine/domain/reservation-id.ts';
import { ByteWriter } from '../../engine/events/bytes.ts';
import { encodeCell } from '../../engine/events/cell-codec.ts';
import type { Repaired } from '../../engine/events/entry.ts';
import { encodeChange } from '../../engine/events/entry-codec.ts';
import type { Cause } from './causes.ts';
import type { CellName } from './facts.ts';
import { showName } from './facts.ts';
import type { CellStep, LaneRepair, RecordStep } from './finding.ts';

const CELL_STEPS = { put: 1, move: 2, remove: 3 } as const;
const RECORD_STEPS = { put: 1, remove: 2, keep: 3 } as const;
const ATTRIBUTES = JSON.stringify({ actor: 'reconcile' });

export function encodeRepair(repair: LaneRepair, cause: Cause): Buffer {
  const { products = [], cells = [], records = [], elements = [], seconds = [] } = repair;
  const out = new ByteWriter(1_024);
  out.u16(products.length);
  for (const sku of products) out.ascii8(sku);
  out.u16(cells.length);
  for (const step of cells) writeCell(out, step);
  out.u16(records.length);
  for (const step of records) writeRecord(out, step);
  out.u16(elements.length);
  for (const { second, seen, to } of elements) {
    out.u32(second);
    out.bytes32(seen);
    out.bytes32(to);
  }
  out.u16(seconds.length);
  for (const second of seconds) out.u32(second);
  out.bytes32(encodeChange(changeOf(repair, cause)));
  return out.take();
}

function writeCell(out: ByteWriter, step: CellStep): void {
  out.ascii8(step.name.sku);
  out.ascii8(step.name.field);
  out.u8(CELL_STEPS[step.how]);
  switch (step.how) {
    case 'put':
      out.bytes32(step.seen);
      out.bytes8(encodeCell(step.to));
      return;
    case 'move':
      out.i64(step.at.epoch);
      out.i64(step.at.seq);
      out.i64(step.by.available);
      out.i64(step.by.reserved);
      out.i64(step.by.allocated);
      return;
    default:
      out.bytes32(step.seen);
  }
}

function writeRecord(out: ByteWriter, step: RecordStep): void {
  out.u16(step.place.generation);
  out.u24(step.place.bucket);
  out.bytes8(packId(step.place.id));
  out.bytes32(step.seen);
  out.u8(RECORD_STEPS[step.how]);
  if (step.how === 'remove') return;
  if (step.how === 'put') out.bytes32(step.to);
  out.u32(step.deadlineS);
}

export function changeOf(repair: LaneRepair, cause: Cause): Repaired {
  const { id, generation, cells = [], corrections = [], movements = [], reservation } = repair;
  const places = new Map<string, number>();
  for (const { how, name } of cells) {
    if (how !== 'remove') places.set(showName(name), places.size);
  }
  const placeOf = (name: CellName): number => {
    const place = places.get(showName(name));
    if (place === undefined) throw new Error(`a repair counts ${showName(name)} without a step`);
    return place;
  };
  return {
    type: 'repaired',
    id: id as ReservationId,
    generation,
    cause,
    attributes: ATTRIBUTES,
    corrections: corrections.map(({ name, ...by }) => ({ cell: placeOf(name), ...by })),
    movements: movements.map(({ name, ...move }) => ({ cell: placeOf(name), ...move })),
    ...(reservation && {
      reservation: {
        version: reservation.version,
        record: reservation.record,
        lines: reservation.lines.map(({ name, ...line }) => ({ cell: placeOf(name), ...line })),
      },
    }),
  };
}
