import { describe, expect, it } from 'vitest';
import { majorVersion } from './find-programs.ts';
import { planInstall } from './install.ts';
import { downloadedJar } from './kafka-jars.ts';
import { neededPrograms } from './stack.ts';

const nobody = { hasApt: false, isRoot: false, hasSudo: false };

describe('planInstall', () => {
  it.each([
    { machine: { hasApt: true, isRoot: true, hasSudo: false }, plan: { kind: 'apt', prefix: [] } },
    {
      machine: { hasApt: true, isRoot: false, hasSudo: true },
      plan: { kind: 'apt', prefix: ['sudo', '-n'] },
    },
    { machine: { hasApt: true, isRoot: false, hasSudo: false }, plan: { kind: 'ask' } },
    { machine: { hasApt: false, isRoot: true, hasSudo: true }, plan: { kind: 'ask' } },
  ])('$machine: $plan.kind', ({ machine, plan }) => {
    expect(planInstall(['redis'], machine)).toMatchObject(plan);
  });

  it('does nothing when nothing is missing', () => {
    expect(planInstall([], nobody)).toEqual({ kind: 'nothing' });
  });

  it('tells a person who cannot be helped what to install, on each kind of system', () => {
    const plan = planInstall(['postgres', 'java'], nobody);
    expect(plan.kind === 'ask' ? plan.message : '').toBe(
      [
        'Missing: PostgreSQL 15 or newer, Java 17 or newer. Install and start again:',
        '  Debian, Ubuntu:  sudo apt-get install postgresql openjdk-17-jre-headless',
        '  Fedora:          sudo dnf install postgresql-server java-21-openjdk-headless',
        '  macOS:           brew install postgresql@17 openjdk@21',
        'Or use servers that are running: set REDIS_URL, DATABASE_URL, KAFKA_BROKERS.',
      ].join('\n'),
    );
  });

  it('names no server in place of a program that is none', () => {
    const plan = planInstall(['valgrind', 'wrk'], nobody);
    expect(plan.kind === 'ask' ? plan.message : '').toBe(
      [
        'Missing: valgrind, wrk. Install and start again:',
        '  Debian, Ubuntu:  sudo apt-get install valgrind wrk',
        '  Fedora:          sudo dnf install valgrind wrk',
        '  macOS:           brew install valgrind wrk',
      ].join('\n'),
    );
  });
});

describe('neededPrograms', () => {
  it('needs Maven only until the jars are there', () => {
    // Neither of the bench's tools: no demo and no test waits for them.
    expect(neededPrograms({}, 'auto', false)).toEqual(['redis', 'postgres', 'java', 'maven']);
    expect(neededPrograms({}, 'kafka', true)).toEqual(['redis', 'postgres', 'java']);
    expect(neededPrograms({}, 'embedded', false)).toEqual(['redis', 'postgres']);
  });

  it('needs nothing for a server that the environment names', () => {
    const env = { REDIS_URL: 'redis://r', DATABASE_URL: 'postgresql://p', KAFKA_BROKERS: 'k:9092' };
    expect(neededPrograms(env, 'auto', false)).toEqual([]);
    expect(neededPrograms({ ...env, DATABASE_URL: ' ' }, 'auto', false)).toEqual(['postgres']);
  });
});

describe('majorVersion', () => {
  it.each([
    ['Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d', 7],
    ['Valkey server v=8.1.3 sha=00000000:1 malloc=jemalloc-5.3.0 bits=64 build=1d5', 8],
    ['postgres (PostgreSQL) 15.9 (Debian 15.9-0+deb12u1)', 15],
    ['postgres (PostgreSQL) 18beta1', 18],
    ['openjdk version "17.0.15" 2025-04-15', 17],
    ['openjdk version "21" 2023-09-19', 21],
    ['java version "1.8.0_301"', 1],
    ['The operation couldn’t be completed. Unable to locate a Java Runtime.', undefined],
  ])('%s: %s', (text, version) => {
    expect(majorVersion(text)).toBe(version);
  });
});

describe('downloadedJar', () => {
  it.each([
    [
      '[INFO] Downloaded from central: scheme://host/org/a/a-1.0.jar (9.6 MB at 3.1 MB/s)',
      'a-1.0.jar (9.6 MB)',
    ],
    ['Downloaded from central: scheme://host/org/a/a-1.0.jar (12 kB)', 'a-1.0.jar (12 kB)'],
    ['[INFO] Downloaded from central: scheme://host/org/a/a-1.0.pom (2 kB at 9 kB/s)', undefined],
    ['[INFO] Downloading from central: scheme://host/org/a/a-1.0.jar', undefined],
  ])('%s', (line, jar) => {
    expect(downloadedJar(line)).toBe(jar);
  });
});
