/** Asks one host of PostgreSQL what it is, over a connection of its own that stays open between. */
import pg from 'pg';
import { within } from '../runtime/within.ts';
import type { HostState } from './primary.ts';
import { findTimelineSource, type TimelineSource } from './timeline.ts';

export interface HostProbeOptions {
  readonly config: pg.ClientConfig;
  readonly host: string;
  readonly port: number;
  /** Of one answer. A server that is stopped (SIGSTOP, a paused VM) takes connections and is silent. */
  readonly timeoutMs: number;
}

const SELECT_ROLE = `
  SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS read_only`;

const UNDEFINED_TABLE = '42P01';

interface Role {
  readonly standby: boolean;
  readonly read_only: boolean;
}

export class HostProbe {
  readonly #options: HostProbeOptions;
  #client: pg.Client | undefined;
  #timeline: TimelineSource | undefined;

  constructor(options: HostProbeOptions) {
    this.#options = options;
  }

  /** Never throws, and never takes longer than `timeoutMs`. One call at a time. */
  async ask(): Promise<HostState> {
    const { timeoutMs } = this.#options;
    try {
      return await within(this.#answer(), timeoutMs, `silent for ${timeoutMs} ms`);
    } catch (error) {
      this.close();
      return { kind: 'unreachable', reason: reasonOf(error) };
    }
  }

  /** The next `ask` connects anew. */
  close(): void {
    this.#client?.connection.stream.destroy();
    this.#client = undefined;
  }

  async #answer(): Promise<HostState> {
    const client = this.#client ?? (await this.#connect());
    const { rows } = await client.query<Role>(SELECT_ROLE);
    if (rows[0]?.standby !== false) return { kind: 'standby' };
    if (rows[0].read_only) return { kind: 'read_only' };
    this.#timeline ??= await findTimelineSource(client);
    return { kind: 'writable', timeline: await readTimeline(client, this.#timeline) };
  }

  async #connect(): Promise<pg.Client> {
    const { config, host, port } = this.#options;
    const client = new pg.Client(config);
    client.host = host;
    client.port = port;
    this.#client = client;
    // A connection that breaks between two questions fails the next one.
    client.on('error', () => {
      if (this.#client === client) this.close();
    });
    await client.connect();
    return client;
  }
}

/** 0 when the source is the registry and the database was never migrated. */
async function readTimeline(client: pg.Client, source: TimelineSource): Promise<number> {
  try {
    const { rows } = await client.query<{ timeline: number }>(
      `SELECT ${source.expression} AS timeline`,
    );
    return rows[0]?.timeline ?? 0;
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === UNDEFINED_TABLE) return 0;
    throw error;
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node gives one error for each address that a name has.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  return first instanceof Error ? first.message : error.message;
}
