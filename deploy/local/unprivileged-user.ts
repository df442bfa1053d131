/**
 * PostgreSQL refuses to run as root. When we are root, it runs as a user that owns nothing else:
 * `postgres`, which Debian's and Fedora's packages create, else `nobody`.
 */
import { spawnSync } from 'node:child_process';

export interface UnprivilegedUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Undefined when we are not root ourselves: then servers run as we do. */
export function unprivilegedUser(): UnprivilegedUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    const uid = idOf(['-u', name]);
    const gid = idOf(['-g', name]);
    if (uid !== undefined && gid !== undefined) return { name, uid, gid };
  }
  throw new Error(
    'PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody` to run it as',
  );
}

/** Whether that user may pass through the directory (a home of mode 700 bars the way to all below it). */
export function canReach(user: UnprivilegedUser, directory: string): boolean {
  const result = spawnSync('test', ['-x', directory], { uid: user.uid, gid: user.gid, cwd: '/' });
  return result.status === 0;
}

function idOf(args: readonly string[]): number | undefined {
  const result = spawnSync('id', [...args], { encoding: 'utf8' });
  const id = Number.parseInt(result.stdout ?? '', 10);
  return result.status === 0 && Number.isInteger(id) ? id : undefined;
}
