/**
 * Reads a lane in bounded pieces, each true at one position: what is asked for, the lane's meta and
 * the log's new entries are read in one MULTI, between which no script can run. It reads with plain
 * commands and decodes with the auditor's code: nothing of the engine stands in between.
 *
 * The connection must be the reader's own, because a transaction of two users would mix.
 */
import type { Redis } from 'ioredis';
import type { LaneKeys } from '../../engine/redis/keys.ts';
import { asBuffer } from '../../engine/testing/auditor/cursor.ts';
import type { DecodedEntry, EntryId } from '../../engine/testing/auditor/decode.ts';
import { decodeEntry } from '../../engine/testing/auditor/decode.ts';
import type { Place } from './place.ts';
import { reaches } from './place.ts';

export type Command = readonly [name: string, ...args: (string | number | Uint8Array)[]];

export interface LaneMeta extends EntryId {
  readonly exists: boolean;
  readonly open: boolean;
  /** Lane time of the look, ms: frozen while the lane is closed. */
  readonly timeMs: number;
}

export interface Look {
  readonly meta: LaneMeta;
  /** Entries behind the place that was named, up to meta's position, oldest first. */
  readonly entries: readonly DecodedEntry[];
  /** An entry stands behind meta's position: a script died half way. */
  readonly halfDone: boolean;
  readonly replies: readonly unknown[];
}

/** A key holds another type than the lane keeps there: no script made it, and none can read it. */
export class WrongType extends Error {
  override readonly name = 'WrongType';
  readonly key: string;

  constructor(key: string) {
    super(`the key ${key} holds another type than the lane keeps there (see TYPE '${key}')`);
    this.key = key;
  }
}

/** Entries of one piece of the stream: at 32 KB an entry, 8 MB. */
const ENTRIES_MAX = 256;

export class LaneReader {
  readonly #redis: Redis;
  readonly #keys: LaneKeys;

  constructor(redis: Redis, keys: LaneKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Where the lane stands, without its log: whether an entry stands behind is told. */
  async position(): Promise<Pick<Look, 'meta' | 'halfDone'>> {
    const { meta } = await this.look({ epoch: Number.MAX_SAFE_INTEGER, seq: 0 });
    const { halfDone } = await this.look(meta);
    return { meta, halfDone };
  }

  /** One look: the replies to `commands`, and the log from behind `after` to the same instant. */
  async look(after: Place, commands: readonly Command[] = []): Promise<Look> {
    const fields = ['state', 'epoch', 'seq', 'nonce', 'time', 'offset'];
    const [metaReply, clockReply, streamReply, ...replies] = await this.transaction([
      ['HMGET', this.#keys.meta, ...fields],
      ['TIME'],
      this.#range(after),
      ...commands,
    ]);
    const meta = readMeta(metaReply, clockReply);
    const entries: DecodedEntry[] = [];
    let piece = readStream(streamReply);
    let halfDone = false;
    while (piece.length > 0 && !halfDone) {
      for (const entry of piece) {
        if (reaches(meta, entry.id)) entries.push(entry);
        else halfDone = true;
      }
      const last = piece.at(-1);
      if (last === undefined || piece.length < ENTRIES_MAX || halfDone) break;
      // What was written since the look stands behind meta's position and is left for the next.
      piece = readStream((await this.transaction([this.#range(last.id)]))[0]).filter((entry) =>
        reaches(meta, entry.id),
      );
    }
    return { meta, entries, halfDone, replies };
  }

  /**
   * Runs the commands in one MULTI; throws the first error that one of them gave. In a key that
   * should be a hash and is none there are no fields; the pass over the keys tells it.
   */
  async transaction(commands: readonly Command[]): Promise<unknown[]> {
    const { grouped, takeApart } = groupGets(commands);
    const replies = (await this.#send([['MULTI'], ...grouped, ['EXEC']])).at(-1);
    if (replies instanceof Error) throw replies;
    if (!Array.isArray(replies)) throw new TypeError('Redis answered EXEC with no list');
    return takeApart(
      replies.map((reply: unknown, i) => {
        const command = grouped[i];
        if (!(reply instanceof Error) || command === undefined) return reply;
        const empty = command[1] === this.#keys.meta ? undefined : EMPTY_HASH[command[0]];
        const error = named(reply, command);
        if (empty === undefined || !(error instanceof WrongType)) throw error;
        return empty;
      }),
    );
  }

  /** Plain commands in one round trip. */
  async ask(commands: readonly Command[]): Promise<unknown[]> {
    const replies = await this.#send(commands);
    const failed = replies.findIndex((reply) => reply instanceof Error);
    const command = commands[failed];
    if (command !== undefined) throw named(replies[failed], command);
    return replies;
  }

  /** In one write; of a command that failed its error. */
  async #send(commands: readonly Command[]): Promise<unknown[]> {
    const pipeline = this.#redis.pipeline();
    for (const [name, ...args] of commands) pipeline.callBuffer(name, ...args.map(toArgument));
    const replies = await pipeline.exec();
    if (replies === null) throw new TypeError('Redis answered a pipeline with nothing');
    return replies.map(([error, reply]) => error ?? reply);
  }

  /** Keys under the lane, in pieces; a key may come twice, as SCAN says. */
  async *scanKeys(pattern: string, countHint: number): AsyncGenerator<string[]> {
    let cursor = '0';
    do {
      const [reply] = await this.ask([['SCAN', cursor, 'MATCH', pattern, 'COUNT', countHint]]);
      const [next, keys] = asList(reply);
      cursor = String(next);
      const names = asList(keys).map(String);
      if (names.length > 0) yield names;
    } while (cursor !== '0');
  }

  /** How many fields each has; undefined: it is no hash. */
  async hashLengths(keys: readonly string[]): Promise<(number | undefined)[]> {
    const commands = keys.map((key): Command => ['HLEN', key]);
    const replies = await this.#send(commands);
    return replies.map((reply, i) => {
      if (!(reply instanceof Error)) return Number(reply);
      const command = commands[i];
      const error = command === undefined ? reply : named(reply, command);
      if (error instanceof WrongType) return undefined;
      throw error;
    });
  }

  /** The field names of hashes, each hash whole, in pieces. */
  async *scanHashes(keys: readonly string[], countHint: number): AsyncGenerator<HashFields[]> {
    let open = keys.map((key) => ({ key, cursor: '0' }));
    while (open.length > 0) {
      const replies = await this.ask(
        open.map(({ key, cursor }): Command => ['HSCAN', key, cursor, 'COUNT', countHint]),
      );
      const next: typeof open = [];
      yield open.map(({ key }, i) => {
        const [cursor, pairs] = asList(replies[i]);
        if (String(cursor) !== '0') next.push({ key, cursor: String(cursor) });
        const fields = asList(pairs).filter((_, n) => n % 2 === 0);
        return { key, fields: fields.map(asBytes) };
      });
      open = next;
    }
  }

  #range(after: Place): Command {
    const from = `(${after.epoch}-${after.seq}`;
    return ['XRANGE', this.#keys.log, from, '+', 'COUNT', ENTRIES_MAX];
  }
}

export interface HashFields {
  readonly key: string;
  readonly fields: readonly Buffer[];
}

/** What the commands say of a hash without fields. */
const EMPTY_HASH: Readonly<Record<string, unknown>> = { HMGET: [], HEXISTS: 0 };

/** Redis says that a type is wrong, and not of which key. */
function named(error: unknown, [, key]: Command): unknown {
  const isType = error instanceof Error && error.message.startsWith('WRONGTYPE');
  return isType ? new WrongType(String(key)) : error;
}

/**
 * HGETs of one hash as one HMGET: within a transaction they see the same, and a command costs the
 * client more than a field does.
 */
function groupGets(commands: readonly Command[]): {
  readonly grouped: readonly Command[];
  readonly takeApart: (replies: readonly unknown[]) => unknown[];
} {
  const grouped: [name: string, ...args: (string | number | Uint8Array)[]][] = [];
  const hashes = new Map<string | number | Uint8Array, number>();
  /** Of each command: its group, and which field of it. */
  const places = commands.map(([name, key, field, ...rest]) => {
    if (name !== 'HGET' || key === undefined || field === undefined) {
      const own = [key, field, ...rest].filter((arg) => arg !== undefined);
      return { group: grouped.push([name, ...own]) - 1, field: undefined };
    }
    const known = hashes.get(key);
    const group = known ?? grouped.push(['HMGET', key]) - 1;
    hashes.set(key, group);
    const command = grouped[group];
    return { group, field: (command?.push(field) ?? 0) - FIRST_FIELD - 1 };
  });
  return {
    grouped,
    takeApart: (replies) =>
      places.map(({ group, field }) => {
        return field === undefined ? replies[group] : asList(replies[group])[field];
      }),
  };
}

/** HMGET key field field ... */
const FIRST_FIELD = 2;

function toArgument(argument: string | number | Uint8Array): string | number | Buffer {
  return typeof argument === 'object' ? asBuffer(argument) : argument;
}

function readMeta(reply: unknown, clock: unknown): LaneMeta {
  const [state, epoch, seq, nonce, time, offset] = asList(reply);
  const [seconds, microseconds] = asList(clock).map(Number);
  const clockMs = (seconds ?? 0) * 1000 + Math.floor((microseconds ?? 0) / 1000);
  const lastMs = Number(time ?? 0);
  const runningMs = String(state) === 'open' ? clockMs + Number(offset ?? 0) : lastMs;
  return {
    exists: state !== null,
    open: String(state) === 'open',
    epoch: Number(epoch ?? 0),
    seq: Number(seq ?? 0),
    nonce: nonce === null ? '0'.repeat(16) : asBytes(nonce).toString('hex'),
    timeMs: Math.max(lastMs, runningMs),
  };
}

function readStream(reply: unknown): DecodedEntry[] {
  return asList(reply).map((item) => {
    const [id, fields] = asList(item);
    return decodeEntry(asBytes(asList(fields)[1]), `entry ${String(id)}`);
  });
}

export function asList(reply: unknown): unknown[] {
  if (!Array.isArray(reply)) throw new TypeError(`Redis answered no list but ${String(reply)}`);
  return reply;
}

export function asBytes(reply: unknown): Buffer {
  if (!Buffer.isBuffer(reply)) throw new TypeError(`Redis answered no bytes but ${String(reply)}`);
  return reply;
}

/** Bytes, or undefined for what is not there. */
export function asBytesOrNone(reply: unknown): Buffer | undefined {
  return reply === null || reply === undefined ? undefined : asBytes(reply);
}
