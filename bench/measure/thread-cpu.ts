/** CPU of one thread, finer than the ticks of /proc/PID/stat; Linux only. */
import { readFileSync } from 'node:fs';

/** Ms since it started, of a process' main thread; undefined where the system does not tell. */
export function threadCpuMs(pid: number): number | undefined {
  try {
    // Its time on a core and its time waiting for one, ns, and how often it got one.
    const [ran] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ');
    return ran === undefined ? undefined : Number(ran) / 1e6;
  } catch {
    return undefined;
  }
}
