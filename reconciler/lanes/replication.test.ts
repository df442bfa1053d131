/** What INFO and the settings say, read without a server: what real ones do is lanes-silent-replica. */
import { describe, expect, it } from 'vitest';
import { describeReplication } from './replication.ts';

function info(...lines: readonly string[]): string {
  return ['# Replication', ...lines, 'master_replid:abc', 'master_repl_offset:900', ''].join(
    '\r\n',
  );
}
const PRIMARY = 'role:master';
const HEARD = 'slave0:ip=10.0.0.2,port=6379,state=online,offset=880,lag=1';
const SILENT = 'slave1:ip=10.0.0.3,port=6379,state=online,offset=200,lag=22';
const COPYING = 'slave2:ip=10.0.0.4,port=6379,state=wait_bgsave,offset=0,lag=0';
const LIMITS = { toWrite: 1, maxLagS: 2 };

describe('describeReplication', () => {
  it('tells who is in sync: online, and not silent for too long', () => {
    const text = info(PRIMARY, 'min_slaves_good_slaves:1', HEARD, SILENT, COPYING);
    const read = describeReplication(text, LIMITS);
    expect(read).toMatchObject({ takes_writes: true, replicas_in_sync: 1, offset: 900 });
    expect(read.replicas).toMatchObject([
      { address: '10.0.0.2:6379', in_sync: true, behind_bytes: 20, silent_s: 1 },
      { address: '10.0.0.3:6379', in_sync: false, behind_bytes: 700, silent_s: 22 },
      { address: '10.0.0.4:6379', in_sync: false, link: 'wait_bgsave' },
    ]);
  });

  it('takes Redis at its own count, which it acts by', () => {
    const text = info(PRIMARY, 'min_slaves_good_slaves:0', HEARD);
    expect(describeReplication(text, LIMITS)).toMatchObject({
      takes_writes: false,
      refuses_because: expect.stringContaining('0 in sync, and it wants 1'),
    });
  });

  it('where settings may not be asked for, a count of none is too few all the same', () => {
    const forbidden = { toWrite: undefined, maxLagS: undefined };
    const text = info(PRIMARY, 'min_slaves_good_slaves:0', SILENT);
    const read = describeReplication(text, forbidden);
    expect(read.refuses_because).toContain('0 in sync, and it wants more');
    expect(read).not.toHaveProperty('min_replicas_to_write');
  });

  it('asks for no replicas where Redis does not count them', () => {
    const none = { toWrite: 0, maxLagS: 10 };
    expect(describeReplication(info(PRIMARY), none)).toMatchObject({
      takes_writes: true,
      replicas_in_sync: 0,
      min_replicas_to_write: 0,
    });
  });

  it('a replica takes no writes', () => {
    expect(describeReplication(info('role:slave'), LIMITS).refuses_because).toMatch(/is a replica/);
  });
});
