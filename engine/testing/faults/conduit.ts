/**
 * One direction of one connection. Chunks, and the end of the stream, stand in a queue until the
 * rule for this pair of parties lets them pass. States:
 *
 *   waiting    no destination yet (the far side is not connected): everything queues
 *   flowing    the head of the queue is delivered when it is due and the rule does not hold it
 *   choked     the destination takes no more for now, or too much waits here: the source is paused,
 *              as a full TCP window would
 *   over       the end was delivered, or the connection was dropped; nothing follows
 */
import type { Socket } from 'node:net';
import type { Party, Pump, Rules } from './link.ts';

/** What a kernel would buffer on both ends, roughly; beyond it the sender's writes stall. */
const QUEUED_BYTES_MAX = 4 * 1024 * 1024;

type Item =
  | { readonly kind: 'bytes'; readonly chunk: Buffer; readonly dueMs: number }
  /** `reset`: the source died instead of closing in order. */
  | { readonly kind: 'end' | 'reset'; readonly dueMs: number };

export interface ConduitOptions {
  readonly rules: Rules;
  readonly from: Party;
  readonly to: Party;
  readonly source: Socket;
}

export class Conduit implements Pump {
  readonly #options: ConduitOptions;
  readonly #queue: Item[] = [];
  #queuedBytes = 0;
  #destination: Socket | undefined;
  #isBlocked = false;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ConduitOptions) {
    this.#options = options;
    const { source, rules } = options;
    rules.add(this);
    source.on('data', (chunk: Buffer) => this.take(chunk));
    source.once('end', () => this.#push({ kind: 'end', dueMs: this.#due() }));
    // A connection that ended in order says `end` before `close`.
    source.once('close', () => this.#push({ kind: 'reset', dueMs: this.#due() }));
  }

  /** Whether anything may pass now: a new connection needs both directions. */
  get isHeld(): boolean {
    const { rules, from, to } = this.#options;
    return rules.state(from, to).isHeld;
  }

  /** The source has said its last word, delivered or not. */
  get hasEnded(): boolean {
    return this.#isOver || this.#queue.some(({ kind }) => kind !== 'bytes');
  }

  take(chunk: Buffer): void {
    this.#push({ kind: 'bytes', chunk, dueMs: this.#due() });
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes > QUEUED_BYTES_MAX) this.#options.source.pause();
  }

  open(destination: Socket): void {
    this.#destination = destination;
    destination.on('drain', () => {
      this.#isBlocked = false;
      this.pump();
    });
    this.pump();
  }

  /** Delivers what may be delivered now. */
  pump(): void {
    const destination = this.#destination;
    if (destination === undefined || this.#isOver || this.isHeld) return;
    while (!this.#isBlocked) {
      const head = this.#queue[0];
      if (head === undefined) return;
      const early = head.dueMs - performance.now();
      if (early > 0) {
        this.#timer ??= setTimeout(() => {
          this.#timer = undefined;
          this.pump();
        }, Math.ceil(early));
        return;
      }
      this.#queue.shift();
      this.#deliver(head, destination);
      if (this.#isOver) return;
    }
  }

  /** Ends it without delivering what is left. */
  drop(): void {
    this.#isOver = true;
    this.#queue.length = 0;
    clearTimeout(this.#timer);
    this.#options.rules.remove(this);
  }

  #deliver(item: Item, destination: Socket): void {
    if (item.kind === 'bytes') {
      this.#queuedBytes -= item.chunk.length;
      if (this.#queuedBytes <= QUEUED_BYTES_MAX / 2) this.#options.source.resume();
      if (!destination.destroyed) this.#isBlocked = !destination.write(item.chunk);
      return;
    }
    if (item.kind === 'end') {
      destination.end();
      return;
    }
    this.drop();
    destination.destroy();
  }

  #push(item: Item): void {
    if (this.#isOver) return;
    this.#queue.push(item);
    this.pump();
  }

  #due(): number {
    const { rules, from, to } = this.#options;
    return performance.now() + rules.state(from, to).delayMs;
  }
}
