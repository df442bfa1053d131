/**
 * Records of reservations and stock operations: all that stand in Redis against PostgreSQL, then
 * all that PostgreSQL says must stand there, and each live hold's deadline.
 */
import type { StoredRecord } from '../../engine/testing/auditor/decode-record.ts';
import {
  idBytes,
  idText,
  placeOf,
  readRecord,
} from '../../engine/testing/auditor/decode-record.ts';
import type { DoneOperation, PlacedRecord } from './compare.ts';
import { compareOperation, compareReservation, expectedAfter } from './compare.ts';
import type { DueReference } from './due-list.ts';
import { DueList, readReferences } from './due-list.ts';
import type { Command, Look } from './lane-reader.ts';
import { asBytes, asBytesOrNone, asList } from './lane-reader.ts';
import type { FieldAt, LaneView } from './lane-view.ts';
import { inPieces, PIECE_MAX } from './lane-view.ts';
import type { RecordAt } from './snapshot.ts';

export interface RecordCounts {
  /** Live ones. */
  holds: number;
  /** All, the live ones and the tombstones included. */
  reservations: number;
  operations: number;
}

const DAY_MS = 86_400_000;
/** A record of this many days ago is still looked at; of ids without a day, of one day less. */
const DAYS_BACK = 2;
/** First byte of the head of a record that stands among the carts. */
const CART_HEAD = 128;
/** A hold that is extended while it is looked at is looked at again, so often at the most. */
const DEADLINE_ROUNDS_MAX = 5;

export async function auditRecords(view: LaneView): Promise<RecordCounts> {
  const counts = { holds: 0, reservations: 0, operations: 0 };
  const due = new DueList(view.reader, view.keys);
  await due.load();
  for await (const piece of view.fields(`${view.keys.prefix}hold:*`)) {
    await auditPiece(view, piece, due, counts);
  }
  const { meta } = await view.look();
  const today = Math.floor(meta.timeMs / DAY_MS);
  for await (const ids of view.snapshot.idsInRedis(today - DAYS_BACK)) {
    for (const piece of inPieces(ids, PIECE_MAX)) await findLost(view, piece);
  }
  return counts;
}

interface ReadRecord extends PlacedRecord {
  readonly id: string;
}

/** `unreadable` was told; undefined: nothing stands there. */
type Reading = ReadRecord | 'unreadable' | undefined;

/** What stands at each place, at one position. */
async function readPlaces(
  view: LaneView,
  places: readonly DueReference[],
  more: readonly Command[] = [],
): Promise<{ records: Reading[]; look: Look }> {
  const get = (key: (generation: number, bucket: number) => string) =>
    places.map((at): Command => ['HGET', key(at.generation, at.bucket), idBytes(at.id)]);
  const look = await view.look([...get(view.keys.hold), ...get(view.keys.cart), ...more]);
  const records = places.map((at, i): Reading => {
    const head = asBytesOrNone(look.replies[i]);
    if (head === undefined || (head[0] ?? 0) < CART_HEAD) return readOne(view, at, head);
    return readOne(view, at, asBytesOrNone(look.replies[places.length + i]));
  });
  return { records, look };
}

function readOne(view: LaneView, at: DueReference, bytes: Buffer | undefined): Reading {
  if (bytes === undefined) return undefined;
  const where = `record of ${at.id}`;
  const record = view.readable(where, (): StoredRecord => readRecord(bytes, where));
  return record === undefined ? 'unreadable' : { ...at, record };
}

async function auditPiece(
  view: LaneView,
  piece: readonly FieldAt[],
  due: DueList,
  counts: RecordCounts,
): Promise<void> {
  const { snapshot, tail, findings } = view;
  const prefix = `${view.keys.prefix}hold:`.length;
  const places = piece.map(({ key, field }) => {
    const [generation = 0, bucket = 0] = key.slice(prefix).split(':').map(Number);
    return { generation, bucket, id: idText(field) };
  });
  const { records, look } = await readPlaces(view, places);
  const ids = [...new Set(places.map(({ id }) => id))];
  const reservations = await snapshot.reservations(ids);
  const operations = await snapshot.operations(ids);
  const today = Math.floor(look.meta.timeMs / DAY_MS);
  const undue: ReadRecord[] = [];
  for (const placed of records) {
    if (placed === undefined || placed === 'unreadable') continue;
    const { id, generation, record } = placed;
    const expected = expectedAfter(reservations.get(id) ?? [], tail, id, generation);
    // No script looks at it any more, and `drop` will take it. After a lost tail it may even be a
    // hold that has long expired. A hold that is live for PostgreSQL is never that old.
    if (!isLookedAt(id, generation, today) && expected?.state !== 'held') continue;
    checkBucket(view, placed);
    if (record.state === 'operation') {
      counts.operations += 1;
      const done = expectedOperation(view, id, operations.get(id));
      for (const found of compareOperation(id, placed, done)) findings.add(found);
      continue;
    }
    counts.reservations += 1;
    for (const found of compareReservation(id, placed, expected)) findings.add(found);
    if (record.state !== 'held') continue;
    counts.holds += 1;
    if (!due.has(record.deadlineS ?? 0, placed)) undue.push(placed);
  }
  for (const placed of undue) await checkDeadline(view, placed);
}

/** A script still looks for the id in that day: today, yesterday, and a day more if the id names it. */
function isLookedAt(id: string, generation: number, today: number): boolean {
  return generation >= today - (placeOf(id).day === generation ? DAYS_BACK : DAYS_BACK - 1);
}

function checkBucket(view: LaneView, { id, generation, bucket }: ReadRecord): void {
  const place = placeOf(id);
  if (bucket === place.bucket && (place.day ?? generation) === generation) return;
  // The id's own day is no longer looked at: a record that was settled then stands in the day of that.
  const isAdopted = place.day !== undefined && generation > place.day + DAYS_BACK;
  if (bucket === place.bucket && isAdopted) return;
  const where = `record of ${id}`;
  const redis = `day ${generation}, bucket ${bucket}`;
  const explanation = `a retry looks in day ${place.day ?? generation}, bucket ${place.bucket}`;
  view.findings.add({ invariant: 'I3', where, redis, explanation });
}

function expectedOperation(
  view: LaneView,
  id: string,
  stored: DoneOperation | undefined,
): DoneOperation | undefined {
  const done = view.tail.operation(id);
  if (done === undefined) return stored;
  const { generation, fingerprint } = done.change;
  return { id, generation, fingerprint, createdS: Math.floor(done.entry.timeMs / 1000) };
}

/** The hold's reference came after the deadlines were read, or there is none: asks at one instant. */
async function checkDeadline(view: LaneView, placed: ReadRecord): Promise<void> {
  let second = placed.record.deadlineS ?? 0;
  for (let round = 0; round < DEADLINE_ROUNDS_MAX; round += 1) {
    const { records, look } = await readPlaces(
      view,
      [placed],
      [
        ['ZSCORE', view.keys.deadlines, second],
        ['LRANGE', view.keys.due(second), 0, -1],
      ],
    );
    const [now] = records;
    if (now === undefined || now === 'unreadable' || now.record.state !== 'held') return;
    if (now.record.deadlineS === second) {
      const [score, list] = look.replies.slice(2);
      const references = asList(list).flatMap((each) => readReferences(asBytes(each), second));
      const isDue = references.some((each) => isSame(each, placed));
      if (isDue && score !== null) return;
      const where = `reservation ${placed.id}`;
      const redis = isDue ? `second ${second} is not among the deadlines` : 'no deadline names it';
      const explanation = `a hold that nobody will expire at ${second} keeps its units for ever`;
      view.findings.add({ invariant: 'I6', where, redis, explanation });
      return;
    }
    second = now.record.deadlineS ?? 0;
  }
}

function isSame(a: DueReference, b: DueReference): boolean {
  return a.id === b.id && a.generation === b.generation && a.bucket === b.bucket;
}

async function findLost(view: LaneView, piece: readonly RecordAt[]): Promise<void> {
  const { snapshot, tail, findings } = view;
  const places = piece.map(({ id, generation }) => {
    return { id, generation, bucket: placeOf(id).bucket };
  });
  const { records, look } = await readPlaces(view, places);
  const lost = places.filter((_, i) => records[i] === undefined);
  if (lost.length === 0) return;
  const today = Math.floor(look.meta.timeMs / DAY_MS);
  const ids = lost.map(({ id }) => id);
  const reservations = await snapshot.reservations(ids);
  const operations = await snapshot.operations(ids);
  for (const { id, generation } of lost) {
    const expected = expectedAfter(reservations.get(id) ?? [], tail, id, generation);
    if (!isLookedAt(id, generation, today) && expected?.state !== 'held') continue;
    const operation = operations.get(id);
    // Of an id that was used again only the newest must be there.
    const [newest] = reservations.get(id) ?? [];
    const found =
      newest?.generation === generation && expected?.generation === generation
        ? compareReservation(id, undefined, expected)
        : operation?.generation === generation
          ? compareOperation(id, undefined, operation)
          : [];
    for (const each of found) findings.add(each);
  }
}
