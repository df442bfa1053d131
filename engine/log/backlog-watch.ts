/**
 * Watches a lane's backlog for an engine: looks every LOOK_MS, tells who asks whether a request passes,
 * and says once when a level is entered. Each engine looks for itself, so none depends on another.
 * While looks fail, what the lane's replies tell still counts (backlog-book.ts).
 */
import type { Redis } from 'ioredis';
import { refuse } from '../redis/lane-calls.ts';
import type { LaneRefusal } from '../redis/lane-port.ts';
import type { LaneStamp } from '../redis/operation.ts';
import { startWorker, type Worker } from '../runtime/worker.ts';
import {
  type BacklogBound,
  type BacklogLevel,
  type BacklogSize,
  type LaneRequest,
  passes,
  shareOf,
} from './backlog.ts';
import { BacklogBook } from './backlog-book.ts';
import { lookAtBacklog } from './backlog-look.ts';

/** How late an engine sells again, at most; what comes between two looks it counts by the replies. */
const LOOK_MS = 250;
const LOOK_MS_MAX = 1_000;
/** A person has to bring PostgreSQL or Kafka back, or PostgreSQL has much to catch up with. */
const FULL_RETRY_MS = 5_000;

export interface BacklogHooks {
  /** A level was entered, from above or from below. */
  readonly onLevel: (level: BacklogLevel, told: string) => void;
  readonly onRefused: (request: LaneRequest) => void;
  readonly onError: (error: Error) => void;
}

export interface BacklogWatchOptions {
  readonly redis: Redis;
  readonly lane: number;
  readonly bound: BacklogBound;
  readonly hooks: BacklogHooks;
}

export interface BacklogGate {
  /** Why the request does not pass, when this is what the lane has told; undefined: it passes. */
  refusal(request: LaneRequest, seen: LaneStamp): LaneRefusal | undefined;
}

export interface BacklogWatch extends BacklogGate {
  /** Rejects when Redis does not answer. */
  look(): Promise<void>;
  start(): Worker;
  readonly size: BacklogSize;
  readonly level: BacklogLevel;
  readonly share: number;
  /** For `/readyz`: undefined while it is calm. */
  fault(): string | undefined;
}

export function createBacklogWatch(options: BacklogWatchOptions): BacklogWatch {
  return new LaneBacklogWatch(options);
}

class LaneBacklogWatch implements BacklogWatch {
  readonly #options: BacklogWatchOptions;
  readonly #book: BacklogBook;
  #told: BacklogLevel = 'calm';
  #refusal: LaneRefusal;

  constructor(options: BacklogWatchOptions) {
    this.#options = options;
    this.#book = new BacklogBook(options.bound);
    this.#refusal = this.#refuse();
  }

  get size(): BacklogSize {
    return this.#book.size;
  }

  get level(): BacklogLevel {
    return this.#book.level;
  }

  get share(): number {
    return shareOf(this.#book.size, this.#options.bound);
  }

  refusal(request: LaneRequest, seen: LaneStamp): LaneRefusal | undefined {
    if (passes(this.#book.levelAt(seen.epoch, seen.seq), request)) return undefined;
    this.#options.hooks.onRefused(request);
    return this.#refusal;
  }

  async look(): Promise<void> {
    const { redis, lane, hooks } = this.#options;
    const look = await lookAtBacklog(redis, lane, (epoch) => this.#book.sampledTo(epoch));
    if (look === undefined) return;
    this.#book.learn(look);
    this.#refusal = this.#refuse();
    if (this.level === this.#told) return;
    this.#told = this.level;
    hooks.onLevel(this.level, tell(this.size, this.#options.bound));
  }

  start(): Worker {
    return startWorker({
      name: 'backlog',
      runOnce: async () => {
        await this.look();
        return false;
      },
      pauseMs: LOOK_MS,
      pauseMsMax: LOOK_MS_MAX,
      onError: (_name, error) => this.#options.hooks.onError(error as Error),
    });
  }

  fault(): string | undefined {
    if (this.level === 'calm') return undefined;
    return `${this.level}: ${tell(this.size, this.#options.bound)}`;
  }

  /** Made once a look, because a full log refuses every reserve of a crowd. */
  #refuse(): LaneRefusal {
    return refuse('log_full', tell(this.size, this.#options.bound), FULL_RETRY_MS);
  }
}

const MIB = 1024 * 1024;

/** For people. */
export function tell({ entries, bytes, ageMs }: BacklogSize, bound: BacklogBound): string {
  const waits = entries === 1 ? '1 entry waits' : `${entries} entries wait`;
  return (
    `${waits} for PostgreSQL, ${(bytes / MIB).toFixed(1)} MiB, the oldest for ` +
    `${Math.round(ageMs / 1_000)} s; the bound is ${(bound.bytesMax / MIB).toFixed(1)} MiB and ` +
    `${bound.ageMsMax / 1_000} s`
  );
}
