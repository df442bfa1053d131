/** The end of the demo in plain words: what was sold, that nothing differs, and what to try now. Pure. */
import { count, ink, type Line, milliseconds, render } from './ink.ts';
import type { DemoReport, SaleReport } from './report.ts';

const WIDTH = 200;
const LABEL = 13;

export function tellReport(report: DemoReport, isColored: boolean): string {
  const lines: Line[] = [
    [],
    verdict(report),
    [],
    ...saleWords(report),
    ...orderWords(report),
    ...auditWords(report),
    ...latencyWords(report),
    ...report.problems.map((problem) => [ink(' wrong        ', 'red'), ink(problem)]),
    [],
  ];
  return lines.map((line) => `${render(line, WIDTH, isColored)}\n`).join('');
}

function verdict({ ok, sale, audit }: DemoReport): Line {
  if (!ok) return [ink(' NOT RIGHT: see "wrong" below.', 'red')];
  const said =
    ` Sold ${count(sale.sold)} of ${count(sale.units)}, oversold ${count(sale.oversold)}. ` +
    `Redis = PostgreSQL at position ${audit.position}.`;
  return [ink(said, 'green')];
}

function row(label: string, text: string): Line {
  return [ink(` ${label.padEnd(LABEL)}`, 'bold'), ink(text)];
}

function saleWords({ sale }: DemoReport): readonly Line[] {
  const buyers = sale.shoppers_who.bought;
  return [
    row(
      'Flash sale',
      `${count(sale.shoppers)} shoppers wanted ${count(sale.units)} units of ${sale.sku_id}; ` +
        `${count(buyers)} bought ${count(sale.sold)}, and PostgreSQL's ledger says ${count(sale.sold_in_ledger)}`,
    ),
    row(
      '',
      `${count(sale.expired)} abandoned carts expired and ${count(sale.released)} were given back: ` +
        `their units were sold to others; ${count(sale.unsold)} are left`,
    ),
    row(
      '',
      `${count(sale.requests)} requests: ${count(sale.rejected)} answered "sold out", ` +
        `${count(sale.duplicates)} sent twice on purpose, ${count(sale.retries)} retried; ` +
        `${count(sale.replayed)} answers said "done before"`,
    ),
    ...doorWords(sale),
  ];
}

/** On a machine that keeps up there is nothing to say. */
function doorWords({ waited_at_door: waited, longest_wait_ms: longestMs }: SaleReport): Line[] {
  if (waited === 0) return [];
  const said =
    `${count(waited)} requests waited at the door until this machine had time, ` +
    `the longest ${milliseconds(longestMs)}`;
  return [row('', said)];
}

function orderWords({ orders }: DemoReport): readonly Line[] {
  return [
    row(
      'Real orders',
      `${count(orders.replayed)} carts of ${count(orders.invoices)} invoices: ${count(orders.committed)} paid ` +
        `(${count(orders.units_committed)} units), ${count(orders.refused)} refused for want of stock`,
    ),
    row(
      '',
      `${count(orders.released)} released, ${count(orders.cancelled)} cancelled, ` +
        `${count(orders.returned)} returned, ${count(orders.corrected)} corrections of stock`,
    ),
  ];
}

function auditWords({ audit, log }: DemoReport): readonly Line[] {
  const { compared, units } = audit;
  const checked =
    `${count(compared.cells)} cells, ${count(compared.reservations)} reservations, ` +
    `${count(compared.movements)} movements, ${count(compared.log_entries)} log entries`;
  return [
    row(
      'Audit',
      audit.ok
        ? `Redis, ${log === 'kafka' ? 'Kafka' : 'the log'} and PostgreSQL agree: ${checked}`
        : `${count(audit.differences)} differences in ${checked}`,
    ),
    row(
      '',
      `${count(units.granted)} units granted = ${count(units.available)} available + ` +
        `${count(units.reserved)} held + ${count(units.allocated)} committed + ${count(units.shipped)} shipped`,
    ),
  ];
}

function latencyWords({ latency_ms: latency, requests, durations_s: took }: DemoReport): Line[] {
  const of = (name: string): string => {
    const summary = latency[name];
    return summary === undefined
      ? ''
      : `${name} p50 ${milliseconds(summary.p50)}, p99 ${milliseconds(summary.p99)}; `;
  };
  const parts = Object.entries(took).map(([name, seconds]) => `${name} ${seconds} s`);
  return [
    row(
      'Speed',
      `${of('reserve')}${of('commit')}up to ${count(requests.per_second_max)} requests/s`,
    ),
    row('Time', parts.join(', ')),
  ];
}

export interface TryIt {
  readonly url: string;
  readonly saleSku: string;
  /** A SKU of which something is left, and where; undefined: nothing is. */
  readonly sku: string | undefined;
  readonly warehouseId: string | undefined;
  /** A committed order of the replay; undefined: there is none. */
  readonly reservationId: string | undefined;
  readonly stackDirectory: string;
}

/** Lines for a shell, all true of this run. */
export function tellTryIt(tryIt: TryIt): string {
  const { url, saleSku, sku, warehouseId, reservationId, stackDirectory } = tryIt;
  const api = `${url}/api/v1/inventory`;
  const post = (path: string, body: object, key?: string): string =>
    `curl -s ${api}/${path} -H 'Content-Type: application/json'` +
    `${key === undefined ? '' : ` -H 'Idempotency-Key: ${key}'`} -d '${JSON.stringify(body)}'`;
  const cart = [{ sku_id: sku, warehouse_id: warehouseId, quantity: 1 }];
  const lines = [
    ...(sku === undefined
      ? []
      : [
          ['what is there, and when it would ship', `curl -s ${api}/${sku}/availability`],
          ['reserve; sent again it is the same reservation', post('reserve', cart, 'my-cart')],
        ]),
    ['sold out', post('reserve', [{ sku_id: saleSku, quantity: 1 }])],
    ...(reservationId === undefined
      ? []
      : [
          ['a real order', `curl -s ${api}/reservations/${reservationId}`],
          ['call it off', post('cancel', { reservation_id: reservationId })],
        ]),
    ['metrics for Prometheus', `curl -s ${url}/metrics`],
    [
      'audit it again',
      `eval "$(npx holdfast stack env --dir ${quoted(stackDirectory)})" && npx holdfast audit`,
    ],
  ];
  const shown = lines.map(([what, command]) => `  # ${what}\n  ${command}\n`).join('');
  return `The server goes on at ${url} until Ctrl-C. Try:\n\n${shown}\n`;
}

/** For a POSIX shell, inside of double quotes too. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
