/** What came out of a demo: one object for machines, and the same in plain words. Pure. */
import type { AuditReport } from '../../reconciler/audit/report.ts';
import type { LatencySummary } from '../load/latency.ts';
import type { SaleTally } from '../load/sale.ts';
import type { ReplaySummary } from '../orders/replay-summary.ts';
import type { SaleItem } from './flash-sale.ts';
import type { SaleLedger } from './ledger.ts';
import type { Opening } from './opening.ts';
import type { OrdersTally } from './orders.ts';

export interface DemoReport {
  /** Nothing oversold, nothing differs, nothing answered that nobody expects. */
  readonly ok: boolean;
  /** Why not. */
  readonly problems: readonly string[];
  readonly seed: string;
  readonly log: 'kafka' | 'embedded';
  /** Why the log is embedded. */
  readonly log_reason: string | null;
  readonly shop: Opening;
  readonly sale: SaleReport;
  readonly orders: OrdersReport;
  readonly audit: AuditSummary;
  /** By kind of request, while selling: counted from when a request was due. */
  readonly latency_ms: Readonly<Record<string, LatencyReport>>;
  readonly requests: {
    readonly answered: number;
    /** No answer came. */
    readonly lost: number;
    readonly per_second_max: number;
  };
  /** CPU that was spent while selling. */
  readonly cpu_s: Readonly<Record<string, number>>;
  readonly durations_s: Readonly<Record<string, number>>;
  readonly environment: Readonly<Record<string, string | number>>;
}

export interface SaleReport {
  readonly sku_id: string;
  readonly name: string;
  readonly units: number;
  readonly shoppers: number;
  /** Requests to reserve that waited at the door (waiting-room.ts): only where the machine does not keep up. */
  readonly waited_at_door: number;
  readonly longest_wait_ms: number;
  /** Further shoppers who came in the end because something was left; 0 but on a machine that is too slow. */
  readonly late_shoppers: number;
  /** Units whose commit a shopper saw acknowledged. */
  readonly sold: number;
  /** Units that PostgreSQL's ledger has as committed. */
  readonly sold_in_ledger: number;
  readonly oversold: number;
  /** Nobody has them, and the sale is over. */
  readonly unsold: number;
  /** Answers "sold out". */
  readonly rejected: number;
  /** Abandoned carts whose deadline passed, and the units that went back on sale. */
  readonly expired: number;
  readonly expired_units: number;
  /** Carts that shoppers gave back. */
  readonly released: number;
  /** Requests that were sent a second time on purpose. */
  readonly duplicates: number;
  /** Requests that were sent again because the answer left it open. */
  readonly retries: number;
  /** Answers that said "done before". */
  readonly replayed: number;
  readonly requests: number;
  /** `gave_up`: came back for nothing until the shop closed the sale. */
  readonly shoppers_who: SaleTally['outcomes'] & { readonly gave_up: number };
  /** Codes of answers that nobody expects. */
  readonly refusals: Readonly<Record<string, number>>;
  /** What no correct engine can have answered. */
  readonly violations: readonly string[];
}

export interface OrdersReport {
  readonly invoices: number;
  readonly lines: number;
  readonly carts: number;
  readonly replayed: number;
  readonly reserved: number;
  readonly refused: number;
  readonly committed: number;
  readonly units_committed: number;
  readonly released: number;
  readonly cancelled: number;
  readonly returned: number;
  readonly corrected: number;
  readonly skipped: number;
  readonly failed: number;
  readonly failures: readonly string[];
}

export interface AuditSummary {
  readonly ok: boolean;
  readonly differences: number;
  /** `epoch-seq`: where Redis and PostgreSQL were compared. */
  readonly position: string;
  readonly compared: AuditReport['compared'];
  readonly units: AuditReport['units'];
  readonly duration_ms: number;
}

export interface LatencyReport {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** What is told of the audit. */
type AuditFacts = Pick<
  AuditReport,
  'ok' | 'position' | 'compared' | 'units' | 'difference_count' | 'duration_ms'
>;

export interface DemoFacts {
  readonly seed: string;
  readonly log: 'kafka' | 'embedded';
  readonly logReason: string | undefined;
  readonly opening: Opening;
  readonly item: SaleItem;
  readonly shoppers: number;
  readonly sale: SaleTally;
  readonly replays: number;
  readonly waitingRoom: { readonly waited: number; readonly longestMs: number };
  readonly lateShoppers: number;
  readonly ledger: SaleLedger;
  readonly orders: OrdersTally;
  readonly invoices: ReplaySummary;
  readonly audit: AuditFacts;
  readonly latencies: Readonly<Record<string, LatencySummary>>;
  readonly lostRequests: number;
  readonly requestsPerSMax: number;
  readonly cpuS: Readonly<Record<string, number>>;
  readonly durationsMs: Readonly<Record<string, number>>;
  readonly environment: Readonly<Record<string, string | number>>;
}

export function reportOf(facts: DemoFacts): DemoReport {
  const sale = saleReport(facts);
  const orders = ordersReport(facts);
  const audit = auditSummary(facts.audit);
  const problems = problemsOf(sale, orders, audit, facts);
  const answered = Object.values(facts.latencies).reduce((sum, each) => sum + each.count, 0);
  return {
    ok: problems.length === 0,
    problems,
    seed: facts.seed,
    log: facts.log,
    log_reason: facts.logReason ?? null,
    shop: facts.opening,
    sale,
    orders,
    audit,
    latency_ms: mapValues(facts.latencies, latencyReport),
    requests: {
      answered,
      lost: facts.lostRequests,
      per_second_max: Math.round(facts.requestsPerSMax),
    },
    cpu_s: mapValues(facts.cpuS, (seconds) => round(seconds, 2)),
    durations_s: mapValues(facts.durationsMs, (ms) => round(ms / 1_000, 2)),
    environment: facts.environment,
  };
}

function saleReport(facts: DemoFacts): SaleReport {
  const { item, shoppers, sale, replays, ledger } = facts;
  const most = Math.max(sale.unitsBought, ledger.sold + ledger.held);
  return {
    sku_id: item.skuId,
    name: item.name,
    units: item.units,
    shoppers,
    waited_at_door: facts.waitingRoom.waited,
    longest_wait_ms: Math.round(facts.waitingRoom.longestMs),
    late_shoppers: facts.lateShoppers,
    sold: sale.unitsBought,
    sold_in_ledger: ledger.sold,
    oversold: Math.max(0, most - item.units),
    unsold: Math.max(0, ledger.granted - ledger.sold - ledger.held),
    rejected: sale.answers.sold_out,
    expired: ledger.expiredHolds,
    expired_units: ledger.expiredUnits,
    released: ledger.releasedHolds,
    duplicates: sale.duplicates,
    retries: sale.retries,
    replayed: replays,
    requests: sale.requests.reserve + sale.requests.commit + sale.requests.release,
    shoppers_who: {
      ...sale.outcomes,
      gave_up: shoppers + facts.lateShoppers - sumOf(sale.outcomes),
    },
    refusals: { ...sale.refusals },
    violations: [...sale.violations],
  };
}

function ordersReport({ orders, invoices }: DemoFacts): OrdersReport {
  const { unitsCommitted, invoicedAtMs: _at, committedIds: _ids, ...counts } = orders;
  return {
    invoices: invoices.invoices,
    lines: invoices.lines,
    ...counts,
    units_committed: unitsCommitted,
  };
}

function auditSummary(audit: AuditFacts): AuditSummary {
  return {
    ok: audit.ok,
    differences: audit.difference_count,
    position: `${audit.position.epoch}-${audit.position.seq}`,
    compared: audit.compared,
    units: audit.units,
    duration_ms: audit.duration_ms,
  };
}

function problemsOf(
  sale: SaleReport,
  orders: OrdersReport,
  audit: AuditSummary,
  { ledger }: DemoFacts,
): readonly string[] {
  const { sold, shoppers_who: who } = sale;
  // Who got no answer to rely on may have bought, up to two units; nobody else.
  const soldMax = sold + 2 * who.unresolved;
  const isTold = sold <= ledger.sold && ledger.sold <= soldMax;
  const found: (string | false)[] = [
    sale.oversold > 0 && `${sale.oversold} units were oversold`,
    audit.units.oversold > sale.oversold &&
      `${audit.units.oversold} units of all SKUs were oversold`,
    ledger.granted !== sale.units &&
      `${sale.units} units were received, but the ledger has ${ledger.granted}`,
    !isTold &&
      `shoppers were told that ${sold} units are theirs, but the ledger has ${ledger.sold}`,
    !audit.ok && `the audit found ${audit.differences} differences`,
    ...sale.violations,
    who.refused > 0 &&
      `${who.refused} shoppers were refused for no good reason: ${JSON.stringify(sale.refusals)}`,
    orders.failed > 0 && `${orders.failed} steps of orders failed: ${orders.failures.join('; ')}`,
  ];
  return found.filter((problem) => problem !== false);
}

function latencyReport(summary: LatencySummary): LatencyReport {
  return {
    count: summary.count,
    p50: round(summary.p50Ms, 3),
    p90: round(summary.p90Ms, 3),
    p99: round(summary.p99Ms, 3),
    p999: round(summary.p999Ms, 3),
    max: round(summary.maxMs, 3),
  };
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, n) => sum + n, 0);
}

function mapValues<From, To>(
  values: Readonly<Record<string, From>>,
  map: (value: From) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]));
}

function round(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}
