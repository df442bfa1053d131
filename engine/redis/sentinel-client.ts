/**
 * One Sentinel: its events and its answers over one connection (RESP3, where a subscriber may ask
 * too). An event is only a reason to look at once; what is true is always read in the same way, so
 * a lost event costs time and nothing else. A Sentinel that hangs is noticed by the look that it
 * does not answer.
 */
import { Redis } from 'ioredis';
import { type Address, type SentinelTarget, showAddress } from '../runtime/redis-url.ts';
import { type ConnectionLost, connectorTo } from './connector.ts';
import type { SentinelView } from './sentinel-weigh.ts';
import { fixedSource } from './source.ts';

export interface SentinelClientHooks {
  readonly onView: (view: SentinelView) => void;
  /** It cannot be asked, or does not know the group; said once for each look and try. */
  readonly onProblem: (problem: string) => void;
}

export interface SentinelClient {
  readonly address: Address;
  /** Asks now; a look that is under way already is followed by another. */
  look(): void;
  close(): void;
}

/** A Sentinel answers in a millisecond; one that does not is asked no more for now. */
const ANSWER_MS_MAX = 1_000;
/** Between two tries to connect: quick at first, as a whole group may just be starting. */
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 1_000;
/** All that is said about a failover, from the first doubt on; each leads to a look. */
const CHANNELS = [
  '+sdown',
  '-sdown',
  '+odown',
  '-odown',
  '+try-failover',
  // The new primary is one already, a second or two before +switch-master.
  '+promoted-slave',
  '+switch-master',
  '+config-update-from',
  '+failover-end',
  '+sentinel',
];
const TROUBLE = /\b(s_down|o_down|failover_in_progress|disconnected)\b/;

export function openSentinel(
  address: Address,
  target: SentinelTarget,
  localAddress: string | undefined,
  hooks: SentinelClientHooks,
): SentinelClient {
  const where = `Sentinel ${showAddress(address)}`;
  const redis: Redis = new Redis({
    Connector: connectorTo({
      source: fixedSource(address, target, localAddress),
      reject: (error: ConnectionLost) => redis.recoverFromFatalError(error, error, {}),
      // Whoever waits for an answer holds the process; watching does not.
      isBackground: true,
    }),
    protocol: 3,
    ...target.sentinelLogin,
    ...(target.tls && { tls: {} }),
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    commandTimeout: ANSWER_MS_MAX,
    connectTimeout: ANSWER_MS_MAX,
    // Hangs: the socket is closed, and each try to connect again says whether it still does.
    socketTimeout: ANSWER_MS_MAX,
    connectionName: 'holdfast-watcher',
    // Sentinels of other releases do not all know it.
    disableClientInfo: true,
    retryStrategy: (times) =>
      RETRY_MS_MIN + Math.random() * Math.min(RETRY_MS_MIN * 2 ** times, RETRY_MS_MAX),
  });
  let id: string | undefined;
  let looking: Promise<void> | undefined;
  let isAskedAgain = false;

  const ask = async (): Promise<void> => {
    id ??= String(await redis.call('SENTINEL', 'MYID'));
    // The name of the primary after its epoch: a failover in between pairs the new address with
    // the old epoch, which weighs too little, instead of the old address with the new one.
    const [about, primary, others] = await Promise.all([
      redis.call('SENTINEL', 'MASTER', target.master),
      redis.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', target.master),
      redis.call('SENTINEL', 'SENTINELS', target.master),
    ]);
    hooks.onView(readView(id, about, primary, others));
  };
  const look = (): void => {
    if (looking !== undefined) {
      isAskedAgain = true;
      return;
    }
    if (redis.status !== 'ready') return;
    looking = ask()
      .catch(async (error: Error) => hooks.onProblem(await explain(redis, where, target, error)))
      .finally(() => {
        looking = undefined;
        if (!isAskedAgain) return;
        isAskedAgain = false;
        look();
      });
  };
  redis.on('ready', () => {
    redis.subscribe(...CHANNELS).catch(noticedByTheNextLook);
    look();
  });
  redis.on('message', look);
  redis.on('error', (error) => hooks.onProblem(`${where}: ${error.message}`));
  return { address, look, close: () => redis.disconnect() };
}

function noticedByTheNextLook(): void {}

function readView(id: string, about: unknown, primary: unknown, others: unknown): SentinelView {
  const fields = readFields(about);
  const [host, port] = primary as [string, string];
  return {
    sentinel: id,
    primary: { host, port: Number(port) },
    configEpoch: Number(fields.get('config-epoch')),
    isTroubled: TROUBLE.test(fields.get('flags') ?? ''),
    others: (others as unknown[]).map(readFields).map((other) => ({
      id: String(other.get('runid')),
      address: { host: String(other.get('ip')), port: Number(other.get('port')) },
    })),
  };
}

/** `[name, value, name, value]`, as Sentinels answer about an instance. */
export function readFields(flat: unknown): Map<string, string> {
  const fields = new Map<string, string>();
  const list = flat as readonly unknown[];
  for (let i = 0; i < list.length; i += 2) fields.set(String(list[i]), String(list[i + 1]));
  return fields;
}

async function explain(
  redis: Redis,
  where: string,
  { master }: SentinelTarget,
  error: Error,
): Promise<string> {
  if (!error.message.includes('No such master')) return `${where}: ${error.message}`;
  const known = await redis.call('SENTINEL', 'MASTERS').catch(() => []);
  const names = (known as unknown[]).map((each) => readFields(each).get('name'));
  return (
    `${where} knows no master "${master}"; it knows ` +
    (names.length === 0 ? 'none' : names.map((name) => `"${name}"`).join(', '))
  );
}
