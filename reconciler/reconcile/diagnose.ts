/** From what differs to findings: reads the evidence in bounded pieces, and judges each piece. */

import { diagnoseCell } from './diagnose-cell.ts';
import { diagnoseRecord } from './diagnose-record.ts';
import type { ProductEvidence } from './evidence.ts';
import { cellEvidence, productEvidence, recordEvidence } from './evidence.ts';
import { showName } from './facts.ts';
import type { Finding, Subject } from './finding.ts';
import type { Run } from './run-context.ts';

/** The ledger is read once for each piece; records bring their seconds of deadlines along. */
const CELLS_AT_ONCE = 500;
const RECORDS_AT_ONCE = 100;

export interface Asked {
  readonly products: readonly string[];
  readonly cells: readonly Extract<Subject, { kind: 'cell' }>['name'][];
  readonly records: readonly Extract<Subject, { kind: 'record' }>['place'][];
}

/** In the order in which they are to be repaired: what a later repair stands on comes first. */
export async function diagnose(run: Run, asked: Asked): Promise<Finding[]> {
  const found: (Finding | undefined)[] = [];
  for (const skus of pieces(asked.products, CELLS_AT_ONCE)) {
    for (const evidence of await productEvidence(run, skus)) {
      found.push(diagnoseProduct(evidence, run.id));
    }
  }
  for (const names of pieces(asked.cells, CELLS_AT_ONCE)) {
    for (const evidence of await cellEvidence(run, names)) {
      found.push(diagnoseCell(evidence, repairId(run.id, showName(evidence.name))));
    }
  }
  for (const places of pieces(asked.records, RECORDS_AT_ONCE)) {
    for (const evidence of await recordEvidence(run, places)) found.push(diagnoseRecord(evidence));
  }
  return found.filter((finding) => finding !== undefined);
}

/** Again, by itself, because Redis had moved on. */
export async function diagnoseAgain(run: Run, subject: Subject): Promise<Finding | undefined> {
  const nothing: Asked = { products: [], cells: [], records: [] };
  switch (subject.kind) {
    case 'product':
      return (await diagnose(run, { ...nothing, products: [subject.sku] }))[0];
    case 'cell':
      return (await diagnose(run, { ...nothing, cells: [subject.name] }))[0];
    case 'record':
      return (await diagnose(run, { ...nothing, records: [subject.place] }))[0];
    // The next run reads the deadlines, the lines and the keys whole.
    case 'deadline':
    case 'lines':
    case 'key':
      return undefined;
    default:
      return subject satisfies never;
  }
}

export function diagnoseProduct(
  { sku, inRedis, inPostgres }: ProductEvidence,
  runId: string,
): Finding | undefined {
  if (inRedis === inPostgres) return undefined;
  return {
    cause: 'missing_product',
    where: `SKU ${sku}`,
    redis: inRedis ? 'known' : 'unknown',
    postgres: inPostgres ? 'defined' : 'not defined',
    witness: '',
    why: inRedis ? 'its row was lost' : 'a sale of it would be answered unknown_sku',
    subject: { kind: 'product', sku },
    repair: {
      by: 'log',
      action: 'define it again',
      id: repairId(runId, sku),
      generation: 0,
      products: [sku],
    },
  };
}

/** Ids have 64 characters at the most. */
function repairId(runId: string, what: string): string {
  return `${runId}-${what.replace(/[^A-Za-z0-9._:-]/g, ':')}`.slice(0, 64);
}

function pieces<T>(items: readonly T[], size: number): T[][] {
  const out: T[][] = [];
  for (let at = 0; at < items.length; at += size) out.push(items.slice(at, at + size));
  return out;
}
