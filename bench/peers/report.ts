/** A run of the peers as tables: what each carried and cost, ours to each, and what the audit found. */
import type { LoadResult } from '../measure/wire-load.ts';
import type { Fact, ReportTable, ScenarioReport } from '../scenario.ts';
import type { Audit } from './audit.ts';
import type { DropSize } from './drop.ts';
import { HOLDFAST } from './holdfast.ts';

export interface PeerPhase {
  readonly load: LoadResult;
  /** Reserved, a second. */
  readonly acceptedPerSecond: number;
  /** us for an answer that said reserved; NaN where the system does not tell. */
  readonly serverUs: number;
  /** Redis, PostgreSQL, and the workers that bring the one to the other, to the end of their work. */
  readonly storeUs: number;
}

export interface ContenderReport {
  readonly name: string;
  readonly drop: { readonly seconds: number; readonly requests: number };
  readonly closed: PeerPhase;
  readonly open: PeerPhase & { readonly rate: number };
  readonly audit: Audit;
  /** Between the stores of the contender; of the engine's audit of Redis, log and PostgreSQL. */
  readonly differences: number;
}

export interface PeersReport {
  readonly drop: DropSize;
  readonly connections: number;
  readonly seconds: number;
  readonly contenders: readonly ContenderReport[];
  /** Who has no result, and why: what it needs is not here, or it could not carry the load. */
  readonly absent: readonly { readonly name: string; readonly reason: string }[];
  /** Of the engine's own audit. */
  readonly ok: boolean;
}

/** As the scenario `peers` reports it. */
export function toReport(report: PeersReport): ScenarioReport {
  const ours = report.contenders.find(({ name }) => name === HOLDFAST);
  return {
    name: 'peers',
    phases: [],
    facts: report.contenders.flatMap((each) => factsOf(each, ours)),
    series: [],
    budgets: [],
    audit: {
      ok: report.ok,
      words: [
        ours === undefined
          ? `${HOLDFAST} did not run`
          : `${HOLDFAST}: ${ours.audit.sold} units of the drop sold, ${ours.audit.oversold} oversold, ${ours.audit.leaked} leaked, ${ours.audit.lost} lost; ${ours.differences} differences between Redis, log and PostgreSQL`,
        ...report.absent.map(({ name: who, reason }) => `${who} has no result: ${reason}`),
      ],
    },
    tables: peersTables(report),
  };
}

function factsOf(each: ContenderReport, ours: ContenderReport | undefined): Fact[] {
  const { name, closed } = each;
  const accepted = closed.acceptedPerSecond;
  const ratio = (ours?.closed.acceptedPerSecond ?? Number.NaN) / accepted;
  return [
    { what: `${name}: reserved`, value: accepted, unit: '/s' },
    ...(each === ours
      ? []
      : [{ what: `ours : ${name}`, value: ratio, unit: 'x', better: 'higher' as const }]),
  ];
}

function peersTables(report: PeersReport): ReportTable[] {
  const { drop, connections, seconds, contenders } = report;
  const ours = contenders.find(({ name }) => name === HOLDFAST);
  return [
    {
      title: [
        `Peers behind the same server: ${connections} connections reserve one SKU for ${seconds} s, closed loop, then open`,
        'at 0.6 of its own peak (ms from the time at which a request was due); CPU in us a reservation; the server apart',
        'from its stores (Redis, PostgreSQL, and our persister and recovery to the end of what they had to do)',
      ].join('\n'),
      head: ['', 'reserved/s', 'ours : it', 'server', 'stores', 'refused', 'p50', 'p99', 'p99.9'],
      rows: contenders.map((each) => costRow(each, ours)),
    },
    {
      title: `A drop of ${drop.units} units for ${drop.shoppers} shoppers; then the stores are killed and started again, and audited`,
      head: [
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
      rows: contenders.map(auditRow),
    },
  ];
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
