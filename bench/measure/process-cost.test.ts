import { describe, expect, it } from 'vitest';
import {
  costsBetween,
  cpuUsOf,
  type ProcessReading,
  parseResident,
  parseTimes,
  readProcesses,
} from './process-cost.ts';

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

  it('counts a process that was replaced from its own beginning', () => {
    const reading = (name: 'engine' | 'persister', cpuUs: [number, number][]): ProcessReading => ({
      name,
      cpuUs: new Map(cpuUs),
      rssBytes: 1_000,
    });
    const before = [reading('engine', [[1, 500]]), reading('persister', [[2, 90_000]])];
    const after = [reading('engine', [[1, 800]]), reading('persister', [[3, 40]])];
    expect(costsBetween(before, after)).toEqual([
      { name: 'engine', cpuUs: 300, rssBytes: 1_000 },
      { name: 'persister', cpuUs: 40, rssBytes: 1_000 },
    ]);
  });
});

describe('the memory of processes', () => {
  it('has what is shared once', () => {
    expect(parseResident('900 100 30 1 0 50 0', true)).toBe(100 * 4_096);
    expect(parseResident('900 100 30 1 0 50 0', false)).toBe(70 * 4_096);
  });

  it.runIf(process.platform === 'linux')('is that of this process at least', () => {
    const [own] = readProcesses([
      { name: 'engine', pids: [process.pid] },
      { name: 'persister', pids: [] },
    ]);
    expect(own?.rssBytes).toBeGreaterThan(10_000_000);
  });
});
