/** The append-only files of a test's Redis: taken away as they are, and put back when older. */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { currentTestRun } from './test-run.ts';

export interface AofCopy {
  readonly directory: string;
}

export interface AofHolder {
  /** Copies the append-only files as they are now: all that was acknowledged is in them. */
  copyAof(): Promise<AofCopy>;
  /** Puts an older copy back, which makes a lost tail; only while the server is stopped. */
  restoreAof(copy: AofCopy): Promise<void>;
}

/** A rewrite in the middle of a copy would mix two generations of the file. */
export const AOF_COPY_ARGS = ['--auto-aof-rewrite-percentage', '0'];

/** The directory, below Redis's own, of the files that the append-only log consists of. */
const AOF_DIRECTORY = 'appendonlydir';

export function aofHolder(directory: string, isRunning: () => boolean): AofHolder {
  const aof = join(directory, AOF_DIRECTORY);
  return {
    copyAof: async () => {
      const copy = mkdtempSync(join(currentTestRun().directory, 'aof-copy-'));
      cpSync(aof, copy, { recursive: true });
      return { directory: copy };
    },
    restoreAof: async (copy) => {
      if (isRunning()) throw new Error('stop() or kill() Redis before restoreAof()');
      rmSync(aof, { recursive: true, force: true });
      mkdirSync(aof);
      cpSync(copy.directory, aof, { recursive: true });
    },
  };
}
