/** The scripts that the relay, the persister and recovery run on a lane (lane-state.ts says what). */
import type { Redis } from 'ioredis';
import { ByteReader, ByteWriter } from '../events/bytes.ts';
import type { EntryKey } from '../events/entry.ts';
import { NEVER } from '../events/entry.ts';
import { laneKeys, SCHEMA_VERSION } from './keys.ts';
import type { ClaimReply, LaneState, LaneTail, RecoveryReply, StreamEntry } from './lane-state.ts';
import { encodeContext, isFenced, readStamp } from './operation-codec.ts';
import { scriptRunner } from './script.ts';

/** Scripts of the relay and of recovery act on a lane as it is: they have seen nothing before. */
const NOTHING_SEEN = encodeContext({ seenEpoch: 0, seenSeq: 0, nonce: Buffer.alloc(8) });

export function laneScripts(redis: Redis, lane: number): LaneState {
  const keys = laneKeys(lane);
  const run = scriptRunner(redis);
  const recovery = async (
    name: 'restore' | 'open',
    term: number,
    replid: string,
    payload: Buffer,
  ): Promise<RecoveryReply> => {
    const reply = await run(name, keys.meta, [String(term), replid, payload]);
    return String(reply) === 'done' ? 'done' : 'claim_lost';
  };
  return {
    async tail(after, entriesMax) {
      return readTail(
        await run('tail', keys.meta, [String(after.epoch), String(after.seq), String(entriesMax)]),
      );
    },
    async claim(term) {
      return readClaim(await run('claim', keys.meta, [String(term), String(SCHEMA_VERSION)]));
    },
    async wipe(term, replid) {
      const reply = String(await run('wipe', keys.meta, [String(term), replid]));
      return { reply: reply === 'claim_lost' ? reply : 'done', more: reply === 'more' };
    },
    restore: (term, replid, chunk) => recovery('restore', term, replid, chunk.bytes),
    async replicate(replicas, waitMs) {
      // WAIT speaks of what its own connection wrote, so one that was made anew in between would be
      // satisfied at once: a message to nobody is a write.
      const replies = await redis
        .pipeline()
        .publish(keys.waitChannel, '')
        .wait(replicas, waitMs)
        .exec();
      const [error, reached] = replies?.[1] ?? [new Error('Redis did not answer WAIT')];
      if (error) throw error;
      return Number(reached);
    },
    address() {
      const { remoteAddress, remotePort } = redis.stream ?? {};
      return remoteAddress === undefined ? '' : `${remoteAddress}:${remotePort}`;
    },
    open: (term, replid, head, nonce, timeMs) =>
      recovery('open', term, replid, encodeOpening(head, nonce, timeMs)),
    async trim(persisted, marginMs) {
      const out = new ByteWriter(24);
      out.i64(persisted.epoch);
      out.i64(persisted.seq);
      out.i64(marginMs);
      const reader = new ByteReader(
        asBuffer(await run('trim', keys.meta, [NOTHING_SEEN, out.take()])),
      );
      return isFenced(readStamp(reader)) ? -1 : reader.u32();
    },
    async mark(level, at) {
      const value = `${at.epoch} ${at.seq}`;
      await redis
        .pipeline()
        .hset(keys.marks, level, value)
        .publish(keys.marksChannel, `${level} ${value}`)
        .exec();
    },
  };
}

function asBuffer(reply: unknown): Buffer {
  if (!Buffer.isBuffer(reply)) throw new TypeError('a script that answers bytes answered none');
  return reply;
}

function asList(reply: unknown): readonly unknown[] {
  if (!Array.isArray(reply)) throw new TypeError('a script that answers a list answered none');
  return reply;
}

function readKey(epoch: unknown, seq: unknown, nonce: unknown): EntryKey {
  const key = { epoch: Number(String(epoch)), seq: Number(String(seq)), nonce: asBuffer(nonce) };
  return key.seq === 0 ? NEVER : key;
}

function readTail(reply: unknown): LaneTail {
  const [exists, term, open, replid, half, epoch, seq, nonce, time, list] = asList(reply);
  const flat = asList(list);
  const entries: StreamEntry[] = [];
  for (let i = 0; i < flat.length; i += 2) {
    const [entryEpoch, entrySeq] = String(flat[i]).split('-');
    entries.push({
      epoch: Number(entryEpoch),
      seq: Number(entrySeq),
      bytes: asBuffer(flat[i + 1]),
    });
  }
  return {
    exists: exists === 1,
    term: Number(String(term)),
    open: open === 1,
    replidMatches: replid === 1,
    halfDone: half === 1,
    last: exists === 1 ? readKey(epoch, seq, nonce) : NEVER,
    timeMs: Number(String(time)),
    entries,
  };
}

function readClaim(reply: unknown): ClaimReply {
  const [claimed, first, epoch, seq, nonce, time, unseen] = asList(reply);
  if (claimed !== 1) return { claimed: false, term: Number(String(first)) };
  return {
    claimed: true,
    replid: String(first),
    last: readKey(epoch, seq, nonce),
    timeMs: Number(String(time)),
    hasUnseenHolds: unseen === 1,
  };
}

function encodeOpening(head: EntryKey, nonce: Buffer, timeMs: number): Buffer {
  const out = new ByteWriter(40);
  out.i64(head.epoch);
  out.i64(head.seq);
  out.raw(head.nonce);
  out.raw(nonce);
  out.i64(timeMs);
  return out.take();
}
