/**
 * Run by hand after dependencies changed: `node deploy/local/complete-lock.mjs`.
 *
 * Packages with native code name one optional package for each platform. Where the registry at
 * hand is a mirror that carries this platform's alone, `npm install` leaves the others out of
 * package-lock.json, and `npm ci` then refuses the lock as out of sync. This adds them, with what
 * their names say: version, operating system, processor and C library.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './checkout.mjs';

const SYSTEMS = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const PROCESSORS = ['arm64', 'arm', 'x64', 'ia32', 'ppc64', 'riscv64', 's390x'];

const path = join(root, 'package-lock.json');
const lock = JSON.parse(readFileSync(path, 'utf8'));
const missing = findMissing(lock.packages);
for (const { name, entry } of missing) lock.packages[`node_modules/${name}`] = entry;
const sorted = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en'));
lock.packages = Object.fromEntries(sorted);
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(`added ${missing.length} packages of other platforms\n`);

function findMissing(packages) {
  return Object.entries(packages)
    .filter(([parentPath]) => parentPath !== '')
    .flatMap(([parentPath, parent]) =>
      Object.entries(parent.optionalDependencies ?? {})
        .filter(([name]) => !packages[`node_modules/${name}`])
        .filter(([name]) => !packages[`${parentPath}/node_modules/${name}`])
        .map(([name, version]) => ({ name, entry: platformEntry(name, version, parent) })),
    );
}

function platformEntry(name, version, parent) {
  const tail = name.slice(name.lastIndexOf('/') + 1);
  const os = SYSTEMS.find((system) => tail.includes(system));
  const cpu = PROCESSORS.find((processor) => tail.includes(processor));
  if (os === undefined || cpu === undefined || !/^\d/.test(version)) {
    throw new Error(
      `${name}@${version} is missing from package-lock.json, and its name tells no platform`,
    );
  }
  const libc =
    os !== 'linux' ? [] : tail.includes('musl') ? ['musl'] : tail.includes('gnu') ? ['glibc'] : [];
  return {
    version,
    cpu: [cpu],
    ...(parent.dev ? { dev: true } : {}),
    ...(libc.length > 0 ? { libc } : {}),
    license: parent.license,
    optional: true,
    os: [os],
  };
}
