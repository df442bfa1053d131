/** A run of the peers as text: what each carried and cost, ours to each, and what the audit found. */
import type { ContenderReport, PeersReport } from '../scenarios/peers.ts';
import { table } from '../table.ts';
import { HOLDFAST } from './holdfast.ts';

export function renderPeers(report: PeersReport): string {
  const { drop, connections, seconds, contenders, absent } = report;
  const ours = contenders.find(({ name }) => name === HOLDFAST);
  return [
    `Peers behind the same server: ${connections} connections reserve one SKU for ${seconds} s, closed loop, then open`,
    'at 0.6 of its own peak (ms from the time at which a request was due); CPU in us a reservation; the server apart',
    'from its stores (Redis, PostgreSQL, and our persister and recovery to the end of what they had to do)',
    table(
      ['', 'reserved/s', 'ours : it', 'server', 'stores', 'refused', 'p50', 'p99', 'p99.9'],
      contenders.map((each) => costRow(each, ours)),
    ),
    `A drop of ${drop.units} units for ${drop.shoppers} shoppers; then the stores are killed and started again, and audited`,
    table(
      [
        '',
        'sold',
        'oversold',
        'leaked',
        'doubled',
        'held in vain',
        'lost',
        'uncounted',
        'no answer',
      ],
      contenders.map(auditRow),
    ),
    ...absent.map(({ name, reason }) => `${name} has no result: ${reason}`),
    `Audit of ${HOLDFAST}: ${report.ok ? 'passed' : 'FAILED'}${ours === undefined ? ' (it did not run)' : `; ${ours.differences} differences between Redis, log and PostgreSQL`}`,
  ].join('\n');
}

function costRow(each: ContenderReport, ours: ContenderReport | undefined): string[] {
  const { closed, open } = each;
  const ratio = (ours?.closed.acceptedPerSecond ?? Number.NaN) / closed.acceptedPerSecond;
  const { p50Ms, p99Ms, p999Ms } = open.load.latency;
  return [
    each.name,
    closed.acceptedPerSecond.toFixed(0),
    `${ratio.toFixed(1)} x`,
    us(closed.serverUs),
    us(closed.storeUs),
    percent(1 - (closed.load.byStatus['201'] ?? 0) / closed.load.answers),
    ...[p50Ms, p99Ms, p999Ms].map((ms) => ms.toFixed(1)),
  ];
}

function auditRow({ name, audit }: ContenderReport): string[] {
  const { sold, oversold, leaked, doubled, heldInVain, lost, uncounted, unresolved } = audit;
  const counts = [sold, oversold, leaked, doubled, heldInVain, lost, uncounted, unresolved];
  return [name, ...counts.map(String)];
}

function us(value: number): string {
  return Number.isFinite(value) ? value.toFixed(0) : '-';
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}
