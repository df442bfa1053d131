/** One node of a test's Redis group: the data node and the Sentinel beside it. */
import { join } from 'node:path';
import {
  isRunning,
  type ProcessIdentity,
  signalProcess,
} from '../../deploy/local/process-identity.ts';
import {
  type DataNodeStart,
  dataNodeCommand,
  type RedisGroup,
  sentinelCommand,
} from '../../deploy/local/redis-group.ts';
import {
  endServer,
  logTail,
  readServerRecord,
  spawnServer,
} from '../../deploy/local/server-process.ts';
import { type AofHolder, aofHolder } from './aof.ts';

export type NodePart = 'data' | 'sentinel' | 'both';

export interface TestRedisNode extends AofHolder {
  readonly index: number;
  /** Where the data node itself listens, behind any proxy. */
  readonly host: string;
  readonly port: number;
  /** redis:// of the data node itself. */
  readonly url: string;
  /** Where its data stands. */
  readonly dir: string;
  /** Of the data node. */
  readonly isRunning: boolean;
  readonly isSentinelRunning: boolean;
  /** Of the data node; throws when it does not run. */
  readonly pid: number;
  readonly sentinelPid: number;
  /** SIGKILL and the data node, unless said otherwise; resolves when the processes are gone. */
  kill(signal?: 'SIGKILL' | 'SIGTERM', what?: NodePart): Promise<void>;
  /** SIGSTOP: it hangs, its connections stay open. */
  pause(what?: NodePart): void;
  /** SIGCONT. */
  resume(what?: NodePart): void;
  /**
   * Starts what does not run, the data node through deploy/redis/start-redis.sh: it waits for the
   * Sentinels' word, and resolves when the node answers.
   */
  restart(): Promise<void>;
  /** What a careless operator does: the data node starts at once, as primary. */
  restartUnguarded(): Promise<void>;
  /** The end of what its Sentinel has logged: why a failover does not come, for messages. */
  sentinelLog(): string;
}

export interface MemberStart {
  readonly group: RedisGroup;
  readonly index: number;
  readonly directory: string;
  readonly args: readonly string[];
  readonly owner: ProcessIdentity;
}

const END_TIMEOUT_MS = 20_000;

/** The first start of a new group: who is primary is given, so the Sentinels need not be asked. */
export async function startMember(start: MemberStart): Promise<TestRedisNode> {
  const { group, index, owner } = start;
  const [first, own] = [group.members[0], group.members[index]];
  if (first === undefined || own === undefined) throw new Error(`the group has no member ${index}`);
  const dir = join(start.directory, 'data');
  const sentinelDirectory = join(start.directory, 'sentinel');
  const process_ = { group, index, env: process.env };
  const startData = async (how: DataNodeStart): Promise<void> => {
    const node = { ...process_, directory: dir, args: start.args };
    await spawnServer(dataNodeCommand(node, how), owner);
  };
  const startSentinel = async (): Promise<void> => {
    const node = { ...process_, directory: sentinelDirectory };
    await spawnServer(sentinelCommand(node), owner);
  };
  const directoriesOf = (what: NodePart): string[] => [
    ...(what === 'sentinel' ? [] : [dir]),
    ...(what === 'data' ? [] : [sentinelDirectory]),
  ];
  const signal = (what: NodePart, name: NodeJS.Signals): void => {
    for (const directory of directoriesOf(what)) signalProcess(identityIn(directory), name);
  };
  await Promise.all([startData(index === 0 ? 'primary' : first.announced.data), startSentinel()]);
  return {
    index,
    ...own.data,
    url: `redis://${own.data.host}:${own.data.port}/0`,
    dir,
    get isRunning() {
      return runsIn(dir);
    },
    get isSentinelRunning() {
      return runsIn(sentinelDirectory);
    },
    get pid() {
      return identityIn(dir).pid;
    },
    get sentinelPid() {
      return identityIn(sentinelDirectory).pid;
    },
    ...aofHolder(dir, () => runsIn(dir)),
    kill: async (name = 'SIGKILL', what = 'data') => {
      await Promise.all(directoriesOf(what).map((part) => endServer(part, name, END_TIMEOUT_MS)));
    },
    pause: (what = 'data') => signal(what, 'SIGSTOP'),
    resume: (what = 'data') => signal(what, 'SIGCONT'),
    restart: async () => {
      if (!runsIn(sentinelDirectory)) await startSentinel();
      if (!runsIn(dir)) await startData('guarded');
    },
    restartUnguarded: () => startData('primary'),
    sentinelLog: () => logTail(sentinelDirectory),
  };
}

function runsIn(directory: string): boolean {
  const record = readServerRecord(directory);
  return record !== undefined && isRunning(record.process);
}

function identityIn(directory: string): ProcessIdentity {
  const record = readServerRecord(directory);
  if (record !== undefined && isRunning(record.process)) return record.process;
  throw new Error(`what has its data in ${directory} is not running; restart() it first`);
}
