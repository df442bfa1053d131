/** Lays out what the demo shows: a frame for a terminal, one line for a log file. Pure. */
import { bar, count, ink, type Line, milliseconds, sparkline } from './ink.ts';
import type { Percentiles } from './meter.ts';
import type { OrdersTally } from './orders.ts';
import { lagEntries, type SaleView, type View } from './view.ts';

const LABEL = 13;
export const FRAME_COLUMNS_MAX = 100;
const SPARKS = 40;

/** The lines of one picture; each may be wider than the terminal, which cuts it. */
export function layOut(view: View, columns: number): readonly Line[] {
  const width = Math.min(columns, FRAME_COLUMNS_MAX) - 2;
  return [
    headline(view, width),
    [],
    ...sale(view.sale, width),
    [],
    ...orders(view.orders, width),
    [],
    ...traffic(view),
    [],
    ...positions(view),
  ];
}

function headline({ phase, elapsedMs, log }: View, width: number): Line {
  const through = log === 'kafka' ? 'Redis > Kafka > PostgreSQL' : 'Redis > PostgreSQL';
  const left = ` ${phase}`;
  const time = `${(elapsedMs / 1_000).toFixed(0)} s`;
  const gap = Math.max(2, width - 8 - left.length - time.length - through.length - 3);
  return [
    ink(' HOLDFAST', 'bold'),
    ink(left, 'cyan'),
    ink(' '.repeat(gap)),
    ink(`${through}   ${time}`, 'dim'),
  ];
}

function labelled(label: string, ...rest: Line): Line {
  return [ink(` ${label.padEnd(LABEL)}`, 'bold'), ...rest];
}

function under(...rest: Line): Line {
  return [ink(' '.repeat(LABEL + 1)), ...rest];
}

function sale(view: SaleView, width: number): readonly Line[] {
  const { units, shoppers, balances } = view;
  const title = labelled(
    'Flash sale',
    ink(`${count(units)} units of ${view.skuId}, ${count(shoppers)} shoppers`),
    ink(`  ${view.name}`, 'dim'),
  );
  if (balances === undefined) return [title, under(ink('the doors are still closed', 'dim'))];
  const { allocated, reserved, available } = balances;
  const parts = [
    { amount: allocated, mark: '█', style: 'green' },
    { amount: reserved, mark: '▒', style: 'yellow' },
    { amount: available, mark: '░', style: 'dim' },
  ] as const;
  const oversold = Math.max(0, allocated + reserved - units);
  return [
    title,
    under(...bar(parts, units, width - LABEL - 1)),
    under(
      ...figure(allocated, 'sold', 'green'),
      ...figure(reserved, 'held in carts', 'yellow'),
      ...figure(available, 'free', 'plain'),
      ...figure(oversold, 'oversold', oversold > 0 ? 'red' : 'green'),
    ),
    under(
      ink(
        `${count(view.through)} shoppers are through, ${count(view.waiting)} wait at the door; ` +
          `${count(view.soldOutAnswers)} times "sold out", ${count(view.duplicates)} duplicates`,
        'dim',
      ),
    ),
  ];
}

function figure(n: number, what: string, style: 'green' | 'yellow' | 'red' | 'plain'): Line {
  return [ink(count(n), style === 'plain' ? 'bold' : style), ink(` ${what}   `)];
}

function orders(tally: OrdersTally | undefined, width: number): readonly Line[] {
  if (tally === undefined) return [labelled('Real orders', ink('waiting', 'dim'))];
  const at = tally.invoicedAtMs;
  const date = at === undefined ? '' : new Date(at).toISOString().slice(0, 16).replace('T', ' ');
  const parts = [
    { amount: tally.reserved, mark: '█', style: 'green' },
    { amount: tally.refused, mark: '█', style: 'red' },
    { amount: tally.carts - tally.reserved - tally.refused, mark: '░', style: 'dim' },
  ] as const;
  const backs = tally.released + tally.cancelled + tally.returned;
  return [
    labelled(
      'Real orders',
      ink(`${count(tally.replayed)} of ${count(tally.carts)} carts`),
      ink(`  ${date}`, 'dim'),
    ),
    under(...bar(parts, tally.carts, width - LABEL - 1)),
    under(
      ...figure(tally.committed, 'paid', 'green'),
      ...figure(tally.refused, 'refused', 'plain'),
      ...figure(backs, 'released, cancelled or returned', 'plain'),
      ...(tally.failed > 0 ? figure(tally.failed, 'FAILED', 'red') : []),
    ),
  ];
}

function traffic({ traffic: { requestsPerS, history, reserve, commit } }: View): readonly Line[] {
  return [
    labelled(
      'Traffic',
      ink(`${count(requestsPerS).padStart(6)} requests/s  `, 'bold'),
      ink(sparkline(history, SPARKS), 'cyan'),
    ),
    under(ink('reserve  '), ...percentiles(reserve)),
    under(ink('commit   '), ...percentiles(commit), ink('  answered once the log has it', 'dim')),
  ];
}

function percentiles(summary: Percentiles | undefined): Line {
  if (summary === undefined) return [ink('-'.padEnd(28), 'dim')];
  const of = (name: string, ms: number): Line => [
    ink(`${name} `, 'dim'),
    ink(milliseconds(ms).padEnd(11)),
  ];
  return [...of('p50', summary.p50Ms), ...of('p99', summary.p99Ms)];
}

function positions(view: View): readonly Line[] {
  const { lane, persisted, rows } = view;
  const lag = lagEntries(view);
  const name = view.log === 'kafka' ? 'Log (Kafka)' : 'Log';
  return [
    labelled(
      name,
      ink(`Redis at ${lane?.seq ?? '-'}, PostgreSQL at ${persisted?.seq ?? '-'}: `),
      lag === undefined
        ? ink('-')
        : ink(`${count(lag)} entries behind`, lag > 0 ? 'yellow' : 'green'),
    ),
    labelled(
      'PostgreSQL',
      rows === undefined
        ? ink('-', 'dim')
        : ink(
            `${count(rows.reservations)} reservations (${count(rows.held)} held, ` +
              `${count(rows.committed)} committed, ${count(rows.expired)} expired), ` +
              `${count(rows.movements)} movements`,
          ),
    ),
  ];
}

/** The same in one line, for output that is no terminal. */
export function oneLine(view: View): string {
  const { balances, soldOutAnswers } = view.sale;
  const { orders: tally, rows, traffic: lately } = view;
  const lag = lagEntries(view);
  const parts = [
    `${(view.elapsedMs / 1_000).toFixed(0).padStart(3)} s  ${view.phase}`,
    ...(balances === undefined
      ? []
      : [
          `${count(balances.allocated)} sold, ${count(balances.reserved)} held, ` +
            `${count(balances.available)} free, ${count(soldOutAnswers)} sold-out answers`,
        ]),
    ...(tally === undefined
      ? []
      : [`orders ${tally.replayed}/${tally.carts}, ${tally.refused} refused`]),
    `${count(lately.requestsPerS)} req/s${oneLatency(lately.reserve)}`,
    ...(lag === undefined ? [] : [`log lag ${count(lag)}`]),
    ...(rows === undefined ? [] : [`${count(rows.movements)} movements in PostgreSQL`]),
  ];
  return parts.join(' | ');
}

function oneLatency(summary: Percentiles | undefined): string {
  if (summary === undefined) return '';
  return `, reserve p50 ${milliseconds(summary.p50Ms)} p99 ${milliseconds(summary.p99Ms)}`;
}
