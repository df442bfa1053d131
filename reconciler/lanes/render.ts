/** A lane's status for people, in as many lines as there is something to say; and as JSON. */
import { showProgress } from '../copy-progress.ts';
import type { StepDetail } from '../journal.ts';
import type { Lag } from './redis-side.ts';
import type { ReplicaView } from './replication.ts';
import { isProblem, type LaneStatus } from './status.ts';
import { countRows, type Phase, type RecoveryTimeline } from './timeline.ts';

/** All but what only the decisions need. */
export function laneToJson({ redis, row: _row, ...rest }: LaneStatus): object {
  if (isProblem(redis)) return { ...rest, redis };
  const { tail: _tail, logged: _logged, ...shown } = redis;
  return { ...rest, redis: shown };
}

export function renderLane(status: LaneStatus): string {
  const { because, lane, recoveries, recoveries_problem, state } = status;
  const lines = [
    `lane ${lane}  ${state}${because === undefined ? '' : `: ${because}`}`,
    ...redisLines(status),
    `  log        ${lagText(status.log_lag)}`,
    ...postgresLines(status),
    ...backlogLines(status),
    ...sentinelLines(status),
  ];
  if (recoveries_problem !== undefined) {
    lines.push(`  recoveries cannot be read: ${recoveries_problem}`);
  }
  if (recoveries.length > 0) {
    lines.push('  recoveries, the newest first; ms since the cause was detected');
    for (const recovery of recoveries) lines.push(...recoveryLines(recovery));
  }
  return `${lines.join('\n')}\n`;
}

function redisLines({ redis, state }: LaneStatus): string[] {
  if (isProblem(redis)) return [`  redis      does not answer: ${redis.problem}`];
  const { address, epoch, offset, refuses_because, replicas, replid, role, seq } = redis;
  const at = epoch === undefined ? 'knows nothing of the lane' : `epoch ${epoch}, seq ${seq}`;
  // It stands in the first line where nothing else keeps the lane from selling.
  const isNews = refuses_because !== undefined && state !== 'refusing';
  return [
    `  redis      ${address} ${role}, replid ${short(replid)}, offset ${offset}; ${at}`,
    ...(isNews ? [`  writes     refused: ${refuses_because}`] : []),
    ...(replicas.length === 0 ? ['  replicas   none attached'] : replicas.map(replicaLine)),
  ];
}

function replicaLine({ address, behind_bytes, in_sync, link, silent_s }: ReplicaView): string {
  const heard =
    link === 'online' && !in_sync
      ? `SILENT for ${silent_s} s, so it does not count`
      : `heard ${silent_s} s ago`;
  return `  replica    ${address} ${link}, ${behind_bytes} bytes behind, ${heard}`;
}

function postgresLines({ postgres, postgres_lag }: LaneStatus): string[] {
  if (isProblem(postgres)) {
    const { answers = false, problem } = postgres;
    return [
      `  postgres   ${answers ? 'answers, and cannot be read' : 'does not answer'}: ${problem}`,
    ];
  }
  const { epoch, parked, position_term, registry, seq, term } = postgres;
  return [
    `  postgres   ${lagText(postgres_lag)}; at epoch ${epoch}, seq ${seq}, under term ${position_term}`,
    `  registry   ${registry}, term ${term}`,
    ...(parked === undefined ? [] : [`  parked     ${parked}`]),
  ];
}

function backlogLines({ backlog }: LaneStatus): string[] {
  if (backlog === undefined || backlog.entries === 0) return [];
  const { age_s, bytes, share } = backlog;
  const size = `${(bytes / 1_048_576).toFixed(1)} MiB of Redis wait for PostgreSQL, the oldest for ${age_s} s`;
  if (share === undefined) return [`  backlog    ${size}`];
  const full = share < 1 ? '' : ', so NOTHING NEW IS SOLD';
  return [`  backlog    ${size}: ${Math.floor(share * 100)} % of the bound${full}`];
}

function sentinelLines({ redis, sentinels }: LaneStatus): string[] {
  return sentinels.map(({ flags, primary, problem, quorum, replicas, sentinel }) => {
    if (problem !== undefined) return `  sentinel   ${sentinel} does not answer: ${problem}`;
    const isOurs = !isProblem(redis) && redis.address === primary;
    const other = isOurs || isProblem(redis) ? '' : ', which is NOT the one above';
    return `  sentinel   ${sentinel} names ${primary}${other} (${flags}; ${replicas} replicas, quorum ${quorum})`;
  });
}

function lagText(lag: Lag | undefined): string {
  if (lag === undefined) return 'not known how far behind';
  if (lag.entries === 0) return 'level';
  const unit = lag.entries === 1 ? 'entry' : 'entries';
  const count = `${lag.at_least ? 'at least ' : ''}${lag.entries} ${unit}`;
  return `${count}${lag.ms === undefined ? '' : `, ${lag.ms} ms`} behind`;
}

function recoveryLines(recovery: RecoveryTimeline): string[] {
  const { cause, detected_at, leader, outage_ms_max, outcome, primary, progress, replid } =
    recovery;
  const took = recovery.took_ms === undefined ? '' : ` after ${recovery.took_ms} ms`;
  const outage = outage_ms_max === undefined ? '' : ` (well ${outage_ms_max} ms before)`;
  const where = primary === undefined ? '' : ` on ${primary}, replid ${short(replid ?? '')}`;
  return [
    `    ${recovery.term}  ${outcome ?? 'UNDER WAY'}${took}${outage}; detected ${detected_at}: ${cause}`,
    `         by ${leader ?? 'an unknown process'}${where}`,
    `         ${recovery.phases.map(phaseText).join(', ')}`,
    ...(progress === undefined ? [] : [`         copying: ${showProgress(progress)}`]),
  ];
}

function phaseText({ at_ms, detail, phase }: Phase): string {
  const found = detailText(phase, detail);
  return `${phase}${found === '' ? '' : ` (${found})`} ${at_ms}`;
}

/** Of what a step found only what people ask for; the rest is in the JSON. */
function detailText(phase: string, detail: StepDetail = {}): string {
  switch (phase) {
    case 'lineage known':
      return detail.tail === undefined ? String(detail.verdict) : `tail: ${detail.tail}`;
    case 'emptied':
      return String(detail.because);
    case 'copied back':
      return detail.what === 'nothing' ? 'nothing' : `${detail.what}: ${countRows(detail)} rows`;
    case 'replicated':
      return `on ${detail.reached} of ${detail.wanted} wanted`;
    default:
      return '';
  }
}

function short(replid: string): string {
  return replid.slice(0, 8);
}
