/** The deadlines: what they name must be known, and the seconds must be looked at. */

import { asReservation } from '../../engine/domain/ids.ts';
import { isWellFormed } from '../../engine/domain/reservation-id.ts';
import { type DueReference, readElement, without } from './due-element.ts';
import type { DueFilter } from './due-filter.ts';
import type { DueElement } from './lane-look.ts';
import { inPieces, type Run } from './run-context.ts';

/** At the most 2,048 references in one look, each of which is looked up in Redis. */
const ELEMENTS_AT_ONCE = 4;
const SECONDS_AT_ONCE = 4;
const SCAN_COUNT = 1_000;

/** Fills the filter with every reference, and finds those that name nothing. */
export async function readDeadlines(run: Run, filter: DueFilter): Promise<void> {
  const prefix = run.look.keys.due(0).length - 1;
  const names = run.look.scan(`${run.look.keys.due(0).slice(0, -1)}*`, SCAN_COUNT);
  for await (const keys of inPieces(names, () => SECONDS_AT_ONCE)) {
    run.signal.throwIfAborted();
    await readSeconds(
      run,
      filter,
      keys.map((key) => Number(key.slice(prefix))),
    );
    run.progress('deadlines');
  }
}

async function readSeconds(run: Run, filter: DueFilter, numbers: readonly number[]): Promise<void> {
  let seconds = numbers.filter(Number.isSafeInteger).map((second) => ({ second, first: 0 }));
  while (seconds.length > 0) {
    const look = await run.look.look({
      seconds: seconds.map((each) => ({ ...each, count: ELEMENTS_AT_ONCE })),
    });
    const unknown: Unknown[] = [];
    look.seconds.forEach(({ isIndexed, elements }, i) => {
      const { second = 0, first = 0 } = seconds[i] ?? {};
      if (!isIndexed && first === 0 && elements.length > 0) tellUnindexed(run, second);
      for (const element of elements) unknown.push(...take(run, filter, second, element));
    });
    await tellOrphans(run, unknown, look.stamp);
    seconds = seconds.flatMap(({ second, first }, i) => {
      const isMore = look.seconds[i]?.elements.length === ELEMENTS_AT_ONCE;
      return isMore ? [{ second, first: first + ELEMENTS_AT_ONCE }] : [];
    });
  }
}

interface Unknown {
  readonly second: number;
  readonly element: Buffer;
  readonly reference: DueReference;
}

function take(
  run: Run,
  filter: DueFilter,
  second: number,
  { bytes, states }: DueElement,
): Unknown[] {
  const references = readElement(bytes);
  run.counts.dueEntries += references.length;
  for (const { bytes: reference } of references) filter.add(second, reference);
  return references.flatMap((reference, i) => {
    return states[i] === 0 ? [{ second, element: bytes, reference }] : [];
  });
}

/** A reservation that is over may have left Redis before its second comes; one that never was may not. */
async function tellOrphans(
  run: Run,
  unknown: readonly Unknown[],
  at: { epoch: number; seq: number },
): Promise<void> {
  if (unknown.length === 0 || run.scope.skus !== undefined) return;
  const ids = unknown.map(({ reference }) => reference.place.id).filter(isWellFormed);
  const rows = await run.stored.snapshot(at, (view) => view.recordsOf(ids));
  const byElement = new Map<string, Unknown[]>();
  for (const each of unknown) {
    if (rows.has(each.reference.place.id)) continue;
    const key = `${each.second} ${each.element.toString('hex')}`;
    const orphans = byElement.get(key) ?? [];
    byElement.set(key, orphans);
    orphans.push(each);
  }
  for (const orphans of byElement.values()) {
    const [first] = orphans;
    if (first === undefined) continue;
    const { second, element } = first;
    const gone = new Set(orphans.map(({ reference }) => reference.bytes.toString('hex')));
    const to = without(element, ({ bytes }) => gone.has(bytes.toString('hex')));
    const ids = orphans.map(({ reference }) => JSON.stringify(reference.place.id)).join(', ');
    run.suspects.addFinding({
      cause: 'orphan_due',
      where: `deadline ${second}`,
      redis: `names ${ids}`,
      postgres: 'nothing',
      witness: 'no record in Redis',
      why: 'neither store knows what it names',
      subject: { kind: 'deadline', second },
      repair: {
        by: 'log',
        action: 'take the reference out',
        id: asReservation(`${run.id}-due-${second}`),
        generation: 0,
        elements: [{ second, seen: element, to }],
      },
    });
  }
}

function tellUnindexed(run: Run, second: number): void {
  run.suspects.addFinding({
    cause: 'orphan_due',
    where: `deadline ${second}`,
    redis: 'its references stand in a second that is not among the deadlines',
    postgres: '',
    witness: '',
    why: 'nobody would ever look at them',
    subject: { kind: 'deadline', second },
    repair: {
      by: 'log',
      action: 'put the second among the deadlines',
      id: asReservation(`${run.id}-due-${second}`),
      generation: 0,
      seconds: [second],
    },
  });
}
