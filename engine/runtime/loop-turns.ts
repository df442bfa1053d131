/**
 * How long the turns of the event loop are by the CPU of its thread: what the process itself does for
 * long at a stretch, whoever else has the core. (loop-delay.ts tells the same by the clock.)
 *
 * A turn is counted from one reading of sockets to the next. Which of them were long is known only when
 * they are over, so the CPU is read once for each millisecond that the loop was awake: what is told of
 * a turn may be up to that more than it took, never less, and turns that lasted less are not told.
 */
import { openSync, readSync } from 'node:fs';

/** Two to three microseconds for the reading, then, are a third of a percent. */
const LOOK_MS = 1;

interface LoopClocks {
  /** Monotonic, ms. */
  readonly nowMs: () => number;
  /** For how long the loop has slept since its start. */
  readonly idleMs: () => number;
  /** Of the thread. */
  readonly cpuMs: () => number;
}

/** `observe` gets seconds. It keeps no process alive; the result ends it. */
export function watchTurns(
  observe: (cpuS: number) => void,
  clocks: LoopClocks = loopClocks(),
): () => void {
  const awakeMs = (): number => clocks.nowMs() - clocks.idleMs();
  let lookedAt = awakeMs();
  let cpuMs = clocks.cpuMs();
  let endedAt = lookedAt;
  let next: NodeJS.Immediate | undefined;
  const turnOver = (): void => {
    const at = awakeMs();
    if (at - lookedAt >= LOOK_MS) {
      const cpuNowMs = clocks.cpuMs();
      if (at - endedAt >= LOOK_MS) observe(Math.min(cpuNowMs - cpuMs, at - endedAt) / 1_000);
      lookedAt = at;
      cpuMs = cpuNowMs;
    }
    endedAt = at;
    arm();
  };
  const arm = (): void => {
    // Unreferenced, it comes once a turn and keeps the loop from no sleep.
    next = setImmediate(turnOver).unref();
  };
  arm();
  return () => clearImmediate(next);
}

function loopClocks(): LoopClocks {
  return {
    nowMs: () => performance.now(),
    idleMs: () => performance.nodeTiming.idleTime,
    cpuMs: threadCpu(),
  };
}

/** Ms of this thread; where the system does not tell (no Linux), of the process with its helpers. */
function threadCpu(): () => number {
  const ofProcessMs = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  };
  try {
    const file = openSync('/proc/thread-self/schedstat', 'r');
    const bytes = Buffer.alloc(64);
    return () => {
      // The file is as of the last tick (4 ms) until something asks the kernel for the sum.
      process.cpuUsage();
      const length = readSync(file, bytes, 0, bytes.length, 0);
      return Number.parseInt(bytes.toString('latin1', 0, length), 10) / 1e6;
    };
  } catch {
    return ofProcessMs;
  }
}
