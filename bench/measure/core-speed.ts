/**
 * How fast a core of this machine is just now. Its caches and its memory are shared with others, and the
 * same code takes half as long again an hour later: each phase says what it had to live on.
 */
import { randomFrom } from '../load/random.ts';

/** Ns of one step of a chain in which each step needs the one before. */
export interface CoreSpeed {
  readonly multiply_ns: number;
  /** A load whose address the one before has told, from 8 MB used at random: more than a core's own caches. */
  readonly load_8mb_ns: number;
  readonly load_64mb_ns: number;
}

const MULTIPLIES = 2_000_000;
/** Of so many readings the fastest: a walk that lost its core says nothing of the core. */
const WALKS = 3;
const LINE_BYTES = 64;
const MB = 2 ** 20;
const SLOTS_PER_LINE = LINE_BYTES / Int32Array.BYTES_PER_ELEMENT;
/** All lines of 8 MB, so each of them was used a moment ago when it is loaded; of 64 MB an eighth. */
const LOADS = (8 * MB) / LINE_BYTES;

let rings: readonly [Int32Array, Int32Array] | undefined;

/** Some 0.2 s of one core, the first time 0.4. */
export function readCoreSpeed(): CoreSpeed {
  rings ??= [ringOf(8 * MB), ringOf(64 * MB)];
  const [mb8, mb64] = rings;
  return {
    multiply_ns: nsOfAStep(MULTIPLIES, multiply),
    load_8mb_ns: nsOfAStep(LOADS, (steps, from) => follow(mb8, steps, from)),
    load_64mb_ns: nsOfAStep(LOADS, (steps, from) => follow(mb64, steps, from)),
  };
}

export function renderCoreSpeed({ multiply_ns, load_8mb_ns, load_64mb_ns }: CoreSpeed): string {
  return `a core when it began: a multiplication ${multiply_ns} ns, a load from 8 MB ${load_8mb_ns} ns, from 64 MB ${load_64mb_ns} ns`;
}

/** Each line of the cache names the next; all of them are one ring, in no order (Sattolo's). */
function ringOf(bytes: number): Int32Array {
  const random = randomFrom('ring');
  const count = bytes / LINE_BYTES;
  const lines = new Int32Array(count * SLOTS_PER_LINE);
  for (let at = 0; at < count; at += 1) lines[at * SLOTS_PER_LINE] = at * SLOTS_PER_LINE;
  for (let at = count - 1; at > 0; at -= 1) {
    const [here, there] = [at * SLOTS_PER_LINE, Math.floor(random() * at) * SLOTS_PER_LINE];
    const next = lines[here] ?? 0;
    lines[here] = lines[there] ?? 0;
    lines[there] = next;
  }
  return lines;
}

/** Each walk goes on where the one before it ended. The first is not counted: V8 compiles. */
function nsOfAStep(steps: number, walk: (steps: number, from: number) => number): number {
  let at = walk(steps, 0);
  let leastNs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < WALKS; i += 1) {
    const startNs = process.hrtime.bigint();
    at = walk(steps, at);
    leastNs = Math.min(leastNs, Number(process.hrtime.bigint() - startNs));
  }
  // Nobody may find out that where it leads to is not needed.
  if (Number.isNaN(at)) throw new RangeError('a walk leads to numbers');
  return Math.round((100 * leastNs) / steps) / 100;
}

function follow(lines: Int32Array, steps: number, from: number): number {
  let at = from;
  for (let step = 0; step < steps; step += 1) at = lines[at] ?? 0;
  return at;
}

function multiply(steps: number, from: number): number {
  let product = from | 1;
  for (let step = 0; step < steps; step += 1) product = Math.imul(product, 0x01000193) ^ step;
  return product;
}
