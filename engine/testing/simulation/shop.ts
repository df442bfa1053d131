/**
 * Clients and engines. A client asks for one reservation and settles it; it repeats with the same id
 * until it is told something final, or gives up. An engine batches, remembers the position that it
 * has seen, and holds an answer back until its level is reached, or a sign of life came.
 */
import { comparePlaces, type Place } from '../../log/place.ts';
import { onFact } from './checks.ts';
import type { Rules } from './rules.ts';
import {
  type Answer,
  at,
  type Client,
  type Engine,
  type Message,
  type Op,
  put,
  type Verb,
  type Wait,
  type World,
} from './world.ts';

/** The client sends what it has to send next. */
export function clientTurn(world: World, index: number): boolean {
  const client = at(world.clients, index);
  if (client.busy || client.verb === 'done' || client.notBefore > world.now) return false;
  if (client.attempt >= at(world.plans, index).triesMax) {
    put(world.clients, index, { verb: 'done' });
    return true;
  }
  put(world.clients, index, { busy: true, attempt: client.attempt + 1, sends: 0 });
  const engine = at(world.engines, client.engine);
  put(world.engines, client.engine, { queue: [...engine.queue, index] });
  return true;
}

/** What waits in the engine goes to the node that it is connected to, in one script. */
export function flushEngine(world: World, index: number, rules: Rules): boolean {
  const engine = at(world.engines, index);
  if (engine.queue.length === 0) return false;
  for (const client of engine.queue) {
    put(world.clients, client, { sends: at(world.clients, client).sends + 1, sentAt: world.now });
  }
  const ops = engine.queue.map((client) => opOf(world, client, engine));
  const names = ops.map((op) => nameOf(world, op)).join(', ');
  const wait = ops.some(({ client, verb }) => levelWanted(world, client, verb) === 'replicated');
  const { node, seen } = engine;
  world.messages.push({
    kind: 'exec',
    key: `exec e${index} N${node} ${names}`,
    engine: index,
    node,
    ops,
    sweep: false,
    seen,
    wait: wait && rules.on('wait_connection'),
  });
  put(world.engines, index, { queue: [] });
  return true;
}

export function sweep(world: World, index: number): boolean {
  const { node, seen } = at(world.engines, index);
  const key = `exec e${index} N${node} sweep`;
  if (world.messages.some((message) => message.key === key)) return false;
  const rest = { ops: [], sweep: true, seen, wait: false };
  world.messages.push({ kind: 'exec', key, engine: index, node, ...rest });
  return true;
}

function opOf(world: World, index: number, engine: Engine): Op {
  const { id, lines, ttlMs } = at(world.plans, index);
  const { verb, attempt, holdEpoch } = at(world.clients, index);
  if (verb === 'done') throw new Error(`client ${index} has nothing to ask`);
  const retake = verb === 'commit' ? retakeOf(world, engine) : undefined;
  return { client: index, attempt, verb, id, lines, ttlMs, holdEpoch, retake };
}

/** Until when a commit that is sent now may take units again: by the least that lane time can be. */
function retakeOf(world: World, { laneTime, seen }: Engine): Op['retake'] {
  // Who has heard nothing yet is told the lane time, and that nothing was decided.
  if (laneTime === undefined) return { untilMs: 0, epoch: seen.epoch };
  const lowestMs = laneTime.timeMs + world.now - laneTime.cameAt;
  return { untilMs: lowestMs + (world.config.retakeMsMax ?? 0), epoch: seen.epoch };
}

/** No two sends are of one name. */
function nameOf(world: World, { client, attempt, verb }: Op): string {
  const { sends } = at(world.clients, client);
  return `${verb} ${client}.${attempt}${sends > 1 ? `+${sends - 1}` : ''}`;
}

function levelWanted(world: World, client: number, verb: Verb) {
  return at(world.plans, client).levels[verb];
}

/** The script's answers came back. */
export function onReply(
  world: World,
  reply: Extract<Message, { kind: 'reply' }>,
  rules: Rules,
): void {
  const { engine: index, stamp } = reply;
  if (stamp === undefined) {
    for (const answer of reply.answers) retryLater(world, answer);
    return;
  }
  const { seen } = at(world.engines, index);
  if (comparePlaces(stamp, seen) >= 0) {
    const { epoch, seq, timeMs } = stamp;
    put(world.engines, index, { seen: { epoch, seq }, laneTime: { timeMs, cameAt: world.now } });
  }
  for (const answer of reply.answers) assure(world, index, answer, reply, stamp, rules);
}

/** assurance.ts: which level must cover the answer, and does it need a sign of life? */
function assure(
  world: World,
  index: number,
  answer: Answer,
  reply: Extract<Message, { kind: 'reply' }>,
  stamp: Place,
  rules: Rules,
): void {
  const { client, attempt, verb, outcome, state, replayed } = answer;
  if (!isAsking(world, answer)) return;
  if (outcome === 'undecided') {
    // Nothing was done. Asked again at once, with the lane time that this answer brought.
    put(world.engines, index, { queue: [...at(world.engines, index).queue, client] });
    return;
  }
  const wanted = levelWanted(world, client, verb);
  const level = rules.product.levelOf(verb, wanted, outcome, state, replayed);
  const wait: Wait = {
    client,
    attempt,
    verb,
    level,
    stamp,
    until: world.now + world.config.waitMsMax,
    outcome,
    state,
    entry: answer.wrote ? reply.entry : undefined,
    call: reply.call,
  };
  const engine = at(world.engines, index);
  if (level === 'memory' && rules.product.isFinalNo(verb, outcome, state)) {
    put(world.engines, index, { asks: [...engine.asks, wait] });
  } else if (level === 'memory') {
    give(world, wait, rules);
  } else if (level === 'replicated' && !rules.on('wait_connection')) {
    // On another connection than the writer's WAIT returns at once.
    give(world, wait, rules);
  } else {
    put(world.engines, index, { waits: [...engine.waits, wait] });
    settleWaits(world, index, rules);
  }
}

/** WAIT came back with enough replicas. */
export function onWaited(world: World, index: number, call: string, rules: Rules): void {
  const { waits } = at(world.engines, index);
  const isDone = (wait: Wait): boolean => wait.level === 'replicated' && wait.call === call;
  put(world.engines, index, { waits: waits.filter((wait) => !isDone(wait)) });
  for (const wait of waits.filter(isDone)) give(world, wait, rules);
}

/** watermarks.ts: an engine looks at the marks of the node that it is connected to. */
export function pollMarks(world: World, index: number, rules: Rules): boolean {
  const engine = at(world.engines, index);
  const stored = at(world.nodes, engine.node).marks;
  const logged = later(engine.marks.logged, stored.logged);
  const persisted = later(engine.marks.persisted, stored.persisted);
  const marks = { logged: later(logged, persisted), persisted };
  const isNews =
    comparePlaces(marks.logged, engine.marks.logged) !== 0 ||
    comparePlaces(persisted, engine.marks.persisted) !== 0;
  if (isNews) put(world.engines, index, { marks });
  return settleWaits(world, index, rules) || isNews;
}

export function later(a: Place, b: Place): Place {
  return comparePlaces(a, b) >= 0 ? a : b;
}

function settleWaits(world: World, index: number, rules: Rules): boolean {
  const { waits, marks } = at(world.engines, index);
  const kept: Wait[] = [];
  const reached: Wait[] = [];
  const missed: Wait[] = [];
  for (const wait of waits) {
    const mark = wait.level === 'persisted' ? marks.persisted : marks.logged;
    const isOfEpoch = wait.stamp.epoch === mark.epoch || !rules.on('mark_epoch');
    const isMark = wait.level !== 'replicated';
    if (isMark && isOfEpoch && comparePlaces(wait.stamp, mark) <= 0) reached.push(wait);
    else if ((isMark && wait.stamp.epoch < mark.epoch) || wait.until <= world.now)
      missed.push(wait);
    else kept.push(wait);
  }
  if (kept.length === waits.length) return false;
  put(world.engines, index, { waits: kept });
  for (const wait of reached) give(world, wait, rules);
  for (const wait of missed) retryLater(world, wait);
  return true;
}

/** One look at the registry, which began after the replies that ask for it. */
export function askRegistry(world: World, index: number, rules: Rules): boolean {
  const { asks, marks } = at(world.engines, index);
  if (asks.length === 0) return false;
  const { registry } = world.pg;
  const kept: Wait[] = [];
  for (const ask of asks) {
    const isOpen = registry.state === 'open' && registry.term === ask.stamp.epoch;
    // Without PostgreSQL a valid entry behind the reply's position is the other sign.
    const isMarked = marks.logged.epoch === ask.stamp.epoch && marks.logged.seq > ask.stamp.seq;
    if (world.pgUp ? isOpen : isMarked) give(world, ask, rules);
    else if (world.pgUp || ask.until <= world.now) retryLater(world, ask);
    else kept.push(ask);
  }
  put(world.engines, index, { asks: kept });
  return kept.length < asks.length;
}

/** No answer in time: the client is told that the outcome is unknown. */
export function giveUp(
  world: World,
  client: number,
  attempt: number,
  rules: Rules,
): 'done' | 'idle' | 'blocked' {
  if (!isAsking(world, { client, attempt })) return 'idle';
  const { engine: index, verb, sends, sentAt } = at(world.clients, client);
  const { queue, waits, asks } = at(world.engines, index);
  const untilMs = sentAt + (world.config.retakeMsMax ?? 0);
  const isOnItsWay = verb === 'commit' && sends > 0 && world.now < untilMs;
  if (isOnItsWay && rules.on('wait_out')) return 'blocked';
  const isOther = (each: Wait): boolean => each.client !== client;
  put(world.engines, index, {
    queue: queue.filter((each) => each !== client),
    waits: waits.filter(isOther),
    asks: asks.filter(isOther),
  });
  retryLater(world, { client, attempt });
  return 'done';
}

/** A new process: it has seen nothing, and nobody waits at it any more. */
export function crashEngine(world: World, index: number, rules: Rules): void {
  const none: Place = { epoch: 0, seq: 0 };
  const fresh: Partial<Engine> = { queue: [], waits: [], asks: [], seen: none };
  const marks = { logged: none, persisted: none };
  put(world.engines, index, { ...fresh, laneTime: undefined, marks });
  // What it had sent is on its way still. Who loses an engine waits as long as that may matter.
  const { retryMs, retakeMsMax = 0 } = world.config;
  const waitMs = rules.on('wait_out') ? Math.max(retryMs, retakeMsMax) : retryMs;
  for (const [client, { busy, engine, attempt }] of world.clients.entries()) {
    if (busy && engine === index) retryLater(world, { client, attempt }, waitMs);
  }
}

function isAsking(world: World, { client, attempt }: { client: number; attempt: number }): boolean {
  const asking = at(world.clients, client);
  return asking.busy && asking.attempt === attempt;
}

function retryLater(
  world: World,
  asked: { client: number; attempt: number },
  afterMs = world.config.retryMs,
): void {
  if (!isAsking(world, asked)) return;
  // Load balancers send a retry to another engine.
  const { verb, engine: last } = at(world.clients, asked.client);
  const engine = (last + 1) % world.engines.length;
  if (verb === 'commit' && at(world.plans, asked.client).asks) {
    put(world.clients, asked.client, { verb: 'look_up' });
  }
  put(world.clients, asked.client, {
    busy: false,
    engine,
    notBefore: world.now + afterMs,
  });
}

/** The client is told, and goes on to what it planned next. */
function give(world: World, wait: Wait, rules: Rules): void {
  if (!isAsking(world, wait)) return;
  const { client, verb, outcome, state, level, entry, stamp } = wait;
  onFact(world, { client, verb, outcome, state, level, entry }, rules);
  const plan = at(world.plans, client);
  const notBefore = world.now + plan.thinkMs;
  put(world.clients, client, { busy: false, notBefore, ...next(plan.goal, wait, stamp) });
}

function next(goal: string, { verb, outcome, state }: Wait, stamp: Place): Partial<Client> {
  if (verb === 'reserve' && (outcome === 'created' || (outcome === 'exists' && state === 'held'))) {
    const settle = goal === 'cancel' ? 'commit' : goal === 'none' ? 'done' : (goal as Verb);
    return { verb: settle, holdEpoch: stamp.epoch };
  }
  if (verb === 'commit' && outcome === 'committed' && goal === 'cancel') return { verb: 'cancel' };
  const isAskedFor =
    verb === 'look_up' && state === 'held' && (goal === 'commit' || goal === 'cancel');
  return { verb: isAskedFor ? 'commit' : 'done' };
}
