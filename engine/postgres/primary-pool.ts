/**
 * A pool over several hosts whose connections all go to the primary. It is an ordinary `pg.Pool`:
 * only where its clients connect to is decided here, at each connection anew.
 *
 * Because node-postgres knows one host and no target_session_attrs; and because what libpq does, to
 * look once when it connects, leaves a caller on a server that hangs (no FIN ever comes), or on one
 * that was replaced while it lived. So while the pool has connections it looks every second, and
 * those to another host than the primary are destroyed.
 */
import pg from 'pg';
import type { DatabaseHost } from '../runtime/database-urls.ts';
import { HostProbe } from './host-probe.ts';
import { PrimaryFinder } from './primary-finder.ts';

/** How long after a promotion the old primary may still be asked. */
const WATCH_MS = 1_000;
/** Far above a question's round trip on a busy server; a host that hangs costs every look this. */
const PROBE_TIMEOUT_MS = 2_000;

export function followPrimary(hosts: readonly DatabaseHost[], config: pg.PoolConfig): pg.Pool {
  const clients = new Map<pg.PoolClient, DatabaseHost>();
  const finder = new PrimaryFinder({
    hosts,
    probes: hosts.map((host) => new HostProbe(probeOptions(host, config))),
    watchMs: WATCH_MS,
    onPrimary(primary) {
      // After `end` of a pool whose last connection hung no event says that it is empty.
      if (pool.totalCount === 0) finder.stop();
      for (const [client, host] of clients) {
        if (host !== primary) leave(client, host, primary);
      }
    },
  });
  const located = new WeakMap<pg.Client, DatabaseHost>();
  const pool = new pg.Pool({ ...config, Client: clientOf(finder, located) });
  pool.on('connect', (client) => {
    const host = located.get(client);
    if (host !== undefined) clients.set(client, host);
    finder.watch();
  });
  pool.on('remove', (client) => {
    clients.delete(client);
    if (pool.totalCount === 0) finder.stop();
  });
  return pool;
}

/** Its query fails; the pool drops it when it is idle, or when the caller gives it back. */
function leave(client: pg.PoolClient, from: DatabaseHost, to: DatabaseHost): void {
  const reason = new Error(`left PostgreSQL at ${from.name}: the primary is ${to.name} now`);
  client.connection.stream.destroy(reason);
}

function clientOf(finder: PrimaryFinder, located: WeakMap<pg.Client, DatabaseHost>) {
  return class PrimaryClient extends pg.Client {
    override connect(): Promise<pg.Client>;
    override connect(callback: (error: Error) => void): void;
    override connect(callback?: (error: Error) => void): Promise<pg.Client> | undefined {
      const connected = this.#connect();
      if (callback === undefined) return connected;
      // The pool's form: an error, or nothing.
      connected.then(() => (callback as () => void)(), callback);
      return undefined;
    }

    async #connect(): Promise<pg.Client> {
      const host = await finder.find();
      this.host = host.host;
      this.port = host.port;
      located.set(this, host);
      try {
        return await super.connect();
      } catch (error) {
        finder.distrust();
        throw error;
      }
    }
  };
}

function probeOptions({ host, port }: DatabaseHost, config: pg.PoolConfig) {
  return {
    host,
    port,
    timeoutMs: PROBE_TIMEOUT_MS,
    config: {
      ...config,
      application_name: `${config.application_name ?? 'holdfast'}-probe`,
      connectionTimeoutMillis: PROBE_TIMEOUT_MS,
      query_timeout: PROBE_TIMEOUT_MS,
      statement_timeout: PROBE_TIMEOUT_MS,
    },
  };
}
