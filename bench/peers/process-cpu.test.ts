import { describe, expect, it } from 'vitest';
import { cpuUsOf, parseTimes } from './process-cpu.ts';

describe('the CPU of processes', () => {
  it('stands after a name with spaces and brackets', () => {
    const stat = '42 (a) b (c) S 7 42 42 0 -1 4194304 90 80 0 0 11 22 33 44 20 0 1 0 1234 0';
    expect(parseTimes(stat)).toEqual({ parent: 7, ownTicks: 33, reapedTicks: 77 });
  });

  it.runIf(process.platform === 'linux')('is that of this process and its descendants', () => {
    const { user, system } = process.cpuUsage();
    // Ticks round down, one for each field.
    expect(cpuUsOf([process.pid])).toBeGreaterThan(user + system - 50_000);
    expect(cpuUsOf([])).toBe(0);
  });
});
