/**
 * Records of reservations and stock operations. First all that PostgreSQL says must stand in Redis,
 * in its order and many at a time: one that is to the letter what it should be is done with. Then all
 * that stand in Redis and were not looked at by then. Whatever is not as simple as that (it changed
 * since the snapshot, it differs, nobody knows it) is compared by its id alone, at one position. And
 * each live hold has a deadline.
 */
import { UnreadableBytes } from '../../engine/testing/auditor/cursor.ts';
import type { StoredRecord } from '../../engine/testing/auditor/decode-record.ts';
import { readRecord } from '../../engine/testing/auditor/decode-record.ts';
import type { FoldedReservation } from '../../engine/testing/auditor/reservation.ts';
import type { DoneOperation, PlacedRecord } from './compare.ts';
import {
  compareOperation,
  compareReservation,
  digestOfReservation,
  expectedAfter,
} from './compare.ts';
import type { Digests } from './digests.ts';
import type { DueReference } from './due-list.ts';
import { DueList, readReferences } from './due-list.ts';
import type { Command, Look } from './lane-reader.ts';
import { asBytes, asBytesOrNone, asList } from './lane-reader.ts';
import type { LaneView } from './lane-view.ts';
import { PIECE_MAX } from './lane-view.ts';
import { inPieces } from './pieces.ts';
import type { RecordPlace } from './record-place.ts';
import { bucketNamed, fieldOf, isAtHome, placeFor, placeOfField } from './record-place.ts';
import { SeenPlaces } from './seen-places.ts';

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
/** Compared by their ids at once. */
const DOUBTFUL_MAX = 256;

/** What one pass knows. */
interface Pass {
  readonly view: LaneView;
  readonly due: DueList;
  readonly seen: SeenPlaces;
  /** Those of them that were compared by their id: once is enough. */
  readonly told: SeenPlaces;
  readonly counts: RecordCounts;
}

/** `known` is told of the newest reservation of each id, as PostgreSQL has it. */
export async function auditRecords(view: LaneView, known: Digests): Promise<RecordCounts> {
  const counts = { holds: 0, reservations: 0, operations: 0 };
  const due = new DueList(view.reader, view.keys);
  await due.load();
  const pass: Pass = { view, due, seen: new SeenPlaces(), told: new SeenPlaces(), counts };
  const sinceDay = dayOf(await view.look()) - DAYS_BACK;
  let newest = '';
  for await (const stored of view.snapshot.reservationsInRedis(sinceDay)) {
    for (const each of stored) {
      if (each.id !== newest) known.add(digestOfReservation(each));
      newest = each.id;
    }
    for (const piece of inPieces(stored, PIECE_MAX)) await matchReservations(pass, piece);
  }
  for await (const stored of view.snapshot.operationsInRedis(sinceDay)) {
    await matchOperations(pass, stored);
  }
  await auditUnseen(pass);
  return counts;
}

function dayOf({ meta }: Look): number {
  return Math.floor(meta.timeMs / DAY_MS);
}

async function matchReservations(pass: Pass, stored: readonly FoldedReservation[]): Promise<void> {
  await match(pass, stored, (expected, placed) => {
    const isHold = placed.record.state !== 'operation';
    return isHold && compareReservation(placed.id, placed, expected).length === 0;
  });
}

async function matchOperations(pass: Pass, stored: readonly DoneOperation[]): Promise<void> {
  await match(pass, stored, (expected, placed) => {
    const isOperation = placed.record.state === 'operation';
    return isOperation && compareOperation(placed.id, placed, expected).length === 0;
  });
}

/** What should stand in Redis against what does; what is not simply equal is looked at again. */
async function match<Stored extends FoldedReservation | DoneOperation>(
  pass: Pass,
  stored: readonly Stored[],
  isEqual: (expected: Stored, placed: ReadRecord) => boolean,
): Promise<void> {
  const { view, seen } = pass;
  const places = stored.map(({ id, generation }) => placeFor(id, generation));
  const look = await view.look(
    places.map((at) => ['HGET', view.keys.hold(at.generation, at.bucket), fieldOf(view, at)]),
  );
  const today = dayOf(look);
  const lost: RecordPlace[] = [];
  const doubtful: RecordPlace[] = [];
  const undue: ReadRecord[] = [];
  stored.forEach((expected, i) => {
    const at = places[i];
    if (at === undefined) return;
    const bytes = asBytesOrNone(look.replies[i]);
    const isChanged = hasChanged(pass, at);
    // As with one that is compared by its id: nobody looks at it any more.
    const isPast = !isChanged && !isLookedAt(at, today) && !isHeld(expected);
    if (bytes === undefined) {
      if (!isPast) lost.push(at);
    } else if (isPast) seen.add(at);
    else {
      const record = isChanged || !isAtHome(at) ? undefined : readSimply(bytes);
      const placed = record && { ...at, record };
      if (placed === undefined || !isEqual(expected, placed)) doubtful.push(at);
      else if (seen.add(at)) note(pass, placed, undue);
    }
  });
  for (const placed of undue) await checkDeadline(view, placed);
  // The head of a record may stand there, and what it points at be gone.
  lost.push(...(await auditPlaces(pass, doubtful)));
  if (lost.length > 0) await findLost(view, lost);
}

function isHeld(stored: FoldedReservation | DoneOperation): boolean {
  return 'state' in stored && stored.state === 'held';
}

/** Since the snapshot. */
function hasChanged({ view: { tail } }: Pass, { id }: RecordPlace): boolean {
  if (tail.changes === 0) return false;
  return tail.changesOf(id).length > 0 || tail.operation(id) !== undefined;
}

/** Undefined: it stands among the carts, or nobody can read it. */
function readSimply(bytes: Buffer): StoredRecord | undefined {
  if ((bytes[0] ?? 0) >= CART_HEAD) return undefined;
  try {
    return readRecord(bytes, 'a record');
  } catch (error) {
    if (error instanceof UnreadableBytes) return undefined;
    throw error;
  }
}

/** Counts what stands in Redis; a hold that the deadlines do not name is asked for again. */
function note({ due, counts }: Pass, placed: ReadRecord, undue: ReadRecord[]): void {
  const { record } = placed;
  if (record.state === 'operation') {
    counts.operations += 1;
    return;
  }
  counts.reservations += 1;
  if (record.state !== 'held') return;
  counts.holds += 1;
  if (!due.has(record.deadlineS ?? 0, placed)) undue.push(placed);
}

/** All that stands in Redis and was not looked at yet. */
async function auditUnseen(pass: Pass): Promise<void> {
  const { view, seen } = pass;
  const hasUnseen = (key: string, length: number): boolean => {
    const place = bucketNamed(view, key);
    return place !== undefined && length !== seen.count(place.generation, place.bucket);
  };
  let unseen: RecordPlace[] = [];
  for await (const { key, fields } of view.hashes(`${view.keys.prefix}hold:*`, hasUnseen)) {
    const place = bucketNamed(view, key);
    if (place === undefined) continue;
    for (const field of fields) {
      const at = placeOfField(view, place, field);
      if (at !== undefined && !seen.has(at)) unseen.push(at);
    }
    if (unseen.length < PIECE_MAX) continue;
    await auditPlaces(pass, unseen);
    unseen = [];
  }
  await auditPlaces(pass, unseen);
}

interface ReadRecord extends PlacedRecord, RecordPlace {}

/** `unreadable` was told; undefined: nothing stands there. */
type Reading = ReadRecord | 'unreadable' | undefined;

/** What stands at each place, at one position. */
async function readPlaces(
  view: LaneView,
  places: readonly RecordPlace[],
  more: readonly Command[] = [],
): Promise<{ records: Reading[]; look: Look }> {
  const get = (key: (generation: number, bucket: number) => string) =>
    places.map((at): Command => ['HGET', key(at.generation, at.bucket), fieldOf(view, at)]);
  const look = await view.look([...get(view.keys.hold), ...get(view.keys.cart), ...more]);
  const records = places.map((at, i): Reading => {
    const head = asBytesOrNone(look.replies[i]);
    if (head === undefined || (head[0] ?? 0) < CART_HEAD) return readOne(view, at, head);
    return readOne(view, at, asBytesOrNone(look.replies[places.length + i]));
  });
  return { records, look };
}

function readOne(view: LaneView, at: RecordPlace, bytes: Buffer | undefined): Reading {
  if (bytes === undefined) return undefined;
  const where = `record of ${at.id}`;
  const record = view.readable(where, (): StoredRecord => readRecord(bytes, where));
  return record === undefined ? 'unreadable' : { ...at, record };
}

/** Each by its id, with all that PostgreSQL and the tail know of it. Gives those that are not there. */
async function auditPlaces(pass: Pass, places: readonly RecordPlace[]): Promise<RecordPlace[]> {
  const gone: RecordPlace[] = [];
  for (const piece of inPieces(places, DOUBTFUL_MAX)) {
    const fresh = piece.filter((at) => pass.told.add(at));
    if (fresh.length > 0) gone.push(...(await auditPiece(pass, fresh)));
  }
  return gone;
}

async function auditPiece(
  pass: Pass,
  places: readonly RecordPlace[],
): Promise<readonly RecordPlace[]> {
  const { view, seen } = pass;
  const { snapshot, tail, findings } = view;
  const { records, look } = await readPlaces(view, places);
  const ids = [...new Set(places.map(({ id }) => id))];
  const reservations = await snapshot.reservations(ids);
  const operations = await snapshot.operations(ids);
  const today = dayOf(look);
  const undue: ReadRecord[] = [];
  for (const placed of records) {
    if (placed === undefined || placed === 'unreadable') continue;
    const { id, generation, record } = placed;
    const expected = expectedAfter(reservations.get(id) ?? [], tail, id, generation);
    // No script looks at it any more, and `drop` will take it. After a lost tail it may even be a
    // hold that has long expired. A hold that is live for PostgreSQL is never that old.
    if (!isLookedAt(placed, today) && expected?.state !== 'held') continue;
    checkBucket(view, placed);
    if (seen.add(placed)) note(pass, placed, undue);
    if (record.state === 'operation') {
      const done = expectedOperation(view, id, operations.get(id));
      for (const found of compareOperation(id, placed, done)) findings.add(found);
    } else for (const found of compareReservation(id, placed, expected)) findings.add(found);
  }
  for (const placed of undue) await checkDeadline(view, placed);
  return places.filter((_, i) => records[i] === undefined);
}

/** A script still looks for the id in that day: today, yesterday, and a day more if the id names it. */
function isLookedAt({ home, generation }: RecordPlace, today: number): boolean {
  return generation >= today - (home.day === generation ? DAYS_BACK : DAYS_BACK - 1);
}

function checkBucket(view: LaneView, placed: ReadRecord): void {
  const { id, generation, bucket, home: place } = placed;
  if (isAtHome(placed)) return;
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
  return a.packed.equals(b.packed) && a.generation === b.generation && a.bucket === b.bucket;
}

async function findLost(view: LaneView, places: readonly RecordPlace[]): Promise<void> {
  const { snapshot, tail, findings } = view;
  const { records, look } = await readPlaces(view, places);
  const lost = places.filter((_, i) => records[i] === undefined);
  if (lost.length === 0) return;
  const today = dayOf(look);
  const ids = lost.map(({ id }) => id);
  const reservations = await snapshot.reservations(ids);
  const operations = await snapshot.operations(ids);
  for (const at of lost) {
    const { id, generation } = at;
    const expected = expectedAfter(reservations.get(id) ?? [], tail, id, generation);
    if (!isLookedAt(at, today) && expected?.state !== 'held') continue;
    const operation = operations.get(id);
    // Of an id that was used again only the newest must be there, and what lives.
    const [newest] = reservations.get(id) ?? [];
    const isWanted = newest?.generation === generation || expected?.state === 'held';
    const found =
      isWanted && expected?.generation === generation
        ? compareReservation(id, undefined, expected)
        : operation?.generation === generation
          ? compareOperation(id, undefined, operation)
          : [];
    for (const each of found) findings.add(each);
  }
}
