/**
 * Knows where the primary of a group is, from all Sentinels that can be found.
 *
 * States, and what is true in each:
 * - idle: nobody listens; no connection to any Sentinel. What was believed last is kept as a floor.
 * - gathering: since the first listener came; waits until enough Sentinels were heard, so that the
 *   first of them, which may be the one that is wrong, does not decide alone.
 * - settled: there is a belief, a node that answered as a primary. Each view may change it
 *   (sentinel-weigh.ts), and each change is told to the listeners. Sentinels that are silent change
 *   nothing: that they are away does not mean that Redis is.
 *
 * It looks once a second, five times as often for a while after anything changed, and at once when a
 * Sentinel publishes or a connection breaks. Each interval is drawn anew and looks have a least
 * distance, so that a thousand engines neither ask in step nor all the time.
 */
import {
  type Address,
  describeTarget,
  type SentinelTarget,
  sameAddress,
  showAddress,
} from '../runtime/redis-url.ts';
import { askRole } from './one-shot.ts';
import { openSentinel, type SentinelClient } from './sentinel-client.ts';
import {
  type Belief,
  type Candidate,
  countSentinels,
  rankPrimaries,
  type SentinelView,
} from './sentinel-weigh.ts';

const LOOK_MS = 1_000;
const ALERT_LOOK_MS = 200;
/** After a change it looks more often for this long: a failover takes less. */
const ALERT_MS = 15_000;
/** Connections that break or cannot be made ask for no more looks than one in this time. */
const DOUBT_MS = 200;
/** An older view says nothing about now. */
const VIEW_AGE_MS_MAX = 3_000;
/** How long the first Sentinels wait for the others. */
const GATHER_MS = 300;
/** How long a connection waits for a primary to be known, before it fails and tries again. */
const LOCATE_MS_MAX = 2_000;
/** A connection that comes back at once finds the watcher still at work. */
const LINGER_MS = 1_000;
/** More than anybody runs; a bound on what a wrong answer can make us open. */
const SENTINELS_MAX = 16;

interface Member {
  readonly client: SentinelClient;
  /** Named by REDIS_URL: never forgotten. */
  readonly isNamed: boolean;
  seen?: { readonly view: SentinelView; readonly at: number };
  problem?: string;
}

export class SentinelWatcher {
  readonly #target: SentinelTarget;
  readonly #localAddress: string | undefined;
  readonly #listeners = new Set<(to: Address) => void>();
  readonly #members = new Map<string, Member>();
  readonly #waiters = new Set<() => void>();
  #state: 'idle' | 'gathering' | 'settled' = 'idle';
  #belief: Belief | undefined;
  #hasGathered = false;
  /** The candidates that are being examined, or were last. */
  #examined = '';
  #isExamining = false;
  /** What is wrong with candidates that rank above the belief. */
  #doubts = '';
  /** What the Sentinels said last; anything else is a change. */
  #situation = '';
  #alertUntil = 0;
  #lookedAt = 0;
  #lookTimer: NodeJS.Timeout | undefined;
  #gatherTimer: NodeJS.Timeout | undefined;
  #lingerTimer: NodeJS.Timeout | undefined;

  constructor(target: SentinelTarget, localAddress: string | undefined) {
    this.#target = target;
    this.#localAddress = localAddress;
  }

  onMove(listener: (to: Address) => void): () => void {
    clearTimeout(this.#lingerTimer);
    // A function may be registered twice; each registration is its own.
    const own = (to: Address): void => listener(to);
    this.#listeners.add(own);
    if (this.#state === 'idle') this.#start();
    return () => {
      if (!this.#listeners.delete(own) || this.#listeners.size > 0) return;
      this.#lingerTimer = setTimeout(() => this.#stop(), LINGER_MS).unref();
    };
  }

  /** Something is wrong with a connection: looks at once, unless it just did. */
  look(): void {
    if (performance.now() - this.#lookedAt >= DOUBT_MS) this.#lookAndPlan();
  }

  async locate(signal: AbortSignal): Promise<Address> {
    this.look();
    if (this.#state !== 'settled') await this.#nextBelief(signal);
    if (this.#belief === undefined) throw new Error(this.#explain());
    return this.#belief.primary;
  }

  #start(): void {
    this.#state = 'gathering';
    for (const address of this.#target.sentinels) this.#add(address, true);
    this.#lookAndPlan();
  }

  #stop(): void {
    this.#state = 'idle';
    this.#hasGathered = false;
    this.#examined = '';
    this.#isExamining = false;
    this.#doubts = '';
    this.#situation = '';
    clearTimeout(this.#lookTimer);
    clearTimeout(this.#gatherTimer);
    this.#gatherTimer = undefined;
    for (const { client } of this.#members.values()) client.close();
    this.#members.clear();
  }

  #add(address: Address, isNamed: boolean): void {
    const key = showAddress(address);
    if (this.#members.has(key) || this.#members.size >= SENTINELS_MAX) return;
    const client = openSentinel(address, this.#target, this.#localAddress, {
      onView: (view) => {
        member.seen = { view, at: performance.now() };
        delete member.problem;
        this.#discover(view);
        this.#decide();
      },
      onProblem: (problem) => {
        member.problem = problem;
        this.#decide();
      },
    });
    const member: Member = { client, isNamed };
    this.#members.set(key, member);
  }

  #lookAndPlan(): void {
    clearTimeout(this.#lookTimer);
    if (this.#state === 'idle') return;
    const now = performance.now();
    this.#lookedAt = now;
    // A candidate that did not answer as a primary is asked again with the views that now come.
    // One that hangs takes longer than the time between two looks: it is waited for.
    if (this.#doubts !== '' && !this.#isExamining) this.#examined = '';
    for (const { client } of this.#members.values()) client.look();
    const usual = now < this.#alertUntil ? ALERT_LOOK_MS : LOOK_MS;
    this.#lookTimer = setTimeout(() => this.#lookAndPlan(), usual * (0.75 + Math.random() / 2));
    this.#lookTimer.unref();
  }

  /** More often from now on when the Sentinels say anything new. */
  #notice(views: readonly SentinelView[]): void {
    const situation = views
      .map(
        ({ sentinel, primary, isTroubled }) => `${sentinel} ${showAddress(primary)} ${isTroubled}`,
      )
      .sort()
      .join('; ');
    if (situation === this.#situation) return;
    this.#situation = situation;
    this.#alertUntil = performance.now() + ALERT_MS;
    this.#lookAndPlan();
  }

  #views(): SentinelView[] {
    const oldest = performance.now() - VIEW_AGE_MS_MAX;
    return [...this.#members.values()]
      .flatMap(({ seen }) => (seen !== undefined && seen.at >= oldest ? [seen] : []))
      .sort((one, other) => one.at - other.at)
      .map(({ view }) => view);
  }

  /** Takes up Sentinels that were not named, and lets those go that nobody names any more. */
  #discover({ others }: SentinelView): void {
    const views = this.#views();
    for (const { id, address } of others) {
      if (!views.some(({ sentinel }) => sentinel === id)) this.#add(address, false);
    }
    const named = new Set(
      views.flatMap((view) => view.others.map((each) => showAddress(each.address))),
    );
    for (const [key, member] of this.#members) {
      if (member.isNamed) continue;
      const isGone = member.problem !== undefined && !named.has(key);
      if (!isGone && !this.#isTwin(member)) continue;
      member.client.close();
      this.#members.delete(key);
    }
  }

  /** The same Sentinel under the address that REDIS_URL gives it: `localhost` and 127.0.0.1. */
  #isTwin({ seen }: Member): boolean {
    return [...this.#members.values()].some(
      (other) =>
        other.isNamed && seen !== undefined && other.seen?.view.sentinel === seen.view.sentinel,
    );
  }

  #decide(): void {
    if (this.#state === 'idle') return;
    const views = this.#views();
    this.#notice(views);
    this.#hasGathered ||= this.#isEnough(views);
    if (!this.#hasGathered) return;
    const candidates = rankPrimaries(views, this.#belief);
    const names = candidates
      .map(({ primary, configEpoch }) => `${showAddress(primary)}@${configEpoch}`)
      .join(' ');
    if (names === this.#examined) return;
    this.#examined = names;
    this.#isExamining = true;
    void this.#examine(candidates, names).then((isOver) => {
      if (isOver) this.#isExamining = false;
    });
  }

  #isEnough(views: readonly SentinelView[]): boolean {
    const members = [...this.#members.values()];
    const known = Math.max(members.length, countSentinels(views));
    if (views.length > known / 2) return true;
    if (members.every(({ seen, problem }) => (seen ?? problem) !== undefined)) return true;
    if (views.length > 0) {
      this.#gatherTimer ??= setTimeout(() => {
        this.#hasGathered = true;
        this.#decide();
      }, GATHER_MS).unref();
    }
    return false;
  }

  /** Takes the first that answers as a primary; false: newer views made it stop. */
  async #examine(candidates: readonly Candidate[], names: string): Promise<boolean> {
    const doubts: string[] = [];
    for (const candidate of candidates) {
      const isBelieved =
        this.#belief !== undefined && sameAddress(this.#belief.primary, candidate.primary);
      const role = isBelieved && this.#state === 'settled' ? 'master' : await this.#ask(candidate);
      if (this.#examined !== names) return false;
      if (role === 'master') {
        this.#believe(candidate);
        break;
      }
      doubts.push(`${showAddress(candidate.primary)} ${role}`);
    }
    this.#doubts = doubts.join('; ');
    return true;
  }

  async #ask({ primary }: Candidate): Promise<string> {
    const { login } = this.#target;
    const localAddress = this.#localAddress;
    return await askRole({ address: primary, target: this.#target, login, localAddress });
  }

  #believe({ primary, configEpoch }: Candidate): void {
    const isMove = this.#belief === undefined || !sameAddress(this.#belief.primary, primary);
    this.#belief = { primary, configEpoch };
    this.#state = 'settled';
    for (const wake of [...this.#waiters]) wake();
    if (isMove) for (const listener of [...this.#listeners]) listener(primary);
  }

  /** Until a primary is known, the signal ends it, or LOCATE_MS_MAX have passed. */
  #nextBelief(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(end);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, LOCATE_MS_MAX);
      this.#waiters.add(end);
      signal.addEventListener('abort', end);
    });
  }

  #explain(): string {
    const group = describeTarget(this.#target);
    const problems = [...this.#members.values()].flatMap(({ problem }) => problem ?? []);
    if (this.#doubts !== '') {
      return `${group}: the primary that Sentinels name, ${this.#doubts}`;
    }
    return `${group}: no Sentinel says where the primary is: ${problems.join('; ') || 'none answered'}`;
  }
}
