/**
 * How fast the persister is by itself: entries of 512 reservations of one hot SKU, made beforehand,
 * go through it into the database that DATABASE_URL names (it is made and dropped again).
 * `node dist/persister/testing/rate.js [events] [attributes]` prints one JSON object; the result is
 * audited, and a wrong one ends with status 1.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import pg from 'pg';
import { asSku, type ReservationId } from '../../engine/domain/ids.ts';
import { IdMaker, unpackId } from '../../engine/domain/reservation-id.ts';
import { encodeEntry } from '../../engine/events/entry-codec.ts';
import type { LogRecord, LogSource } from '../../engine/log/event-log.ts';
import { createPool } from '../../engine/postgres/pool.ts';
import { migrate } from '../migrate.ts';
import { type AppliedBatch, createPersister } from '../persister.ts';
import { at, SimulatedLane } from './simulated-lane.ts';

const PER_ENTRY = 512;
const SKU = asSku('HOT-1');
const ATTRIBUTES = '{"order_id":"order-123456","customer_id":"customer-98765","channel":"web"}';
const TICKS_PER_S = 100;

const events = Number(process.argv[2] ?? 400_000);
const attributes = process.argv[3] === 'attributes' ? ATTRIBUTES : '';
const base = new URL(process.env.DATABASE_URL ?? 'postgresql://localhost/postgres');

function makeLog(): LogRecord[] {
  const lane = new SimulatedLane({ attributes });
  const ids = new IdMaker(randomBytes);
  const entries = [encodeEntry(lane.open(1))];
  lane.define(SKU);
  lane.moveStock('opening', 'receive', [
    { sku: SKU, field: at('W1'), quantity: events + PER_ENTRY },
  ]);
  entries.push(encodeEntry(lane.batch()));
  for (let made = 0; made < events; made += PER_ENTRY) {
    lane.timeMs += 6;
    for (let i = 0; i < PER_ENTRY; i++) {
      const id: ReservationId = unpackId(ids.make(lane.timeMs, 0));
      lane.reserve(id, [{ sku: SKU, field: at('W1'), quantity: 1 }]);
    }
    entries.push(encodeEntry(lane.batch()));
    // The simulated lane keeps all that it ever did; here nobody asks.
    lane.reservations.clear();
  }
  return entries.map((entry, i) => ({ term: 1, offset: BigInt(i), entry }));
}

function sourceOf(log: readonly LogRecord[]): LogSource {
  return {
    read: async ({ offset }, { recordsMax }) =>
      log.slice(Number(offset), Number(offset) + Math.min(recordsMax, 16)),
    close: async () => undefined,
  };
}

async function administrate(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: String(new URL('/postgres', base)) });
  await client.connect();
  await client.query(statement);
  await client.end();
}

/** CPU seconds of the servers' processes that this session can see; undefined elsewhere. */
function cpuOf(pid: number): number | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
  } catch {
    return undefined;
  }
}

const log = makeLog();
const name = `rate_${randomBytes(4).toString('hex')}`;
await administrate(`CREATE DATABASE ${name} TEMPLATE template0`);
const pool = createPool({
  url: String(new URL(`/${name}`, base)),
  applicationName: 'rate',
  connectionsMax: 2,
  onIdleError: () => undefined,
});
try {
  await migrate(pool);
  let done = 0;
  const persister = createPersister({
    pool,
    lane: 0,
    source: sourceOf(log),
    form: 'kafka',
    state: {
      mark: async () => undefined,
      trim: async () => 0,
    },
    log: console,
    limits: {
      gatherMs: 0,
      idleMs: 0,
    },
    metrics: {
      ...{
        suspects: () => undefined,
        overtaken: () => undefined,
        gap: () => undefined,
      },
      ...{
        parked: () => undefined,
        failed: () => undefined,
      },
      applied: (batch: AppliedBatch) => {
        done += batch.events;
      },
    },
  });
  await persister.runOnce();
  const { rows: sessions } = await pool.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
  );
  const pid = sessions[0]?.pid ?? 0;
  const before = { done, ms: performance.now(), cpu: process.cpuUsage(), server: cpuOf(pid) };
  while ((await persister.runOnce()).did === 'applied');
  const seconds = (performance.now() - before.ms) / 1_000;
  const cpu = process.cpuUsage(before.cpu);
  const server = cpuOf(pid);
  const count = done - before.done;
  await persister.close();
  const { rows } = await pool.query(
    `SELECT current_setting('server_version') AS postgresql, current_setting('fsync') AS fsync,
            current_setting('synchronous_commit') AS synchronous_commit,
            current_setting('shared_buffers') AS shared_buffers,
            (SELECT count(*) FROM reservations) AS reservations,
            (SELECT count(*) FROM reservation_lines) AS lines,
            (SELECT count(*) FROM stock_movements) AS movements,
            (SELECT reserved_qty FROM inventory) AS reserved,
            (SELECT count(*) FROM inventory WHERE suspect IS NOT NULL) AS suspects`,
  );
  const found = rows[0] ?? {};
  const made = (log.length - 2) * PER_ENTRY;
  const isRight =
    found.reservations === made &&
    found.lines === made &&
    found.movements === made + 1 &&
    found.reserved === made &&
    found.suspects === 0;
  const perEvent = (s: number) => Number(((s * 1e6) / count).toFixed(2));
  const report = {
    events: count,
    events_per_s: Math.round(count / seconds),
    persister_cpu_us_per_event: perEvent((cpu.user + cpu.system) / 1e6),
    postgres_session_cpu_us_per_event:
      server === undefined || before.server === undefined ? null : perEvent(server - before.server),
    entries_of: PER_ENTRY,
    attributes: attributes !== '',
    node: process.version,
    cpus: cpus().length,
    load_average_1m: Number(loadavg()[0]?.toFixed(1)),
    ...found,
    audit: isRight ? 'right' : 'wrong',
  };
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  if (!isRight) process.exitCode = 1;
} finally {
  await pool.end();
  await administrate(`DROP DATABASE ${name} WITH (FORCE)`);
}
