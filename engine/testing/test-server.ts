/**
 * A server of one test, which the test may stop, kill, pause and start again on the same port and
 * the same data.
 */
import { waitFor } from '../../deploy/local/deadline.ts';
import { isPortFree, onFreePort } from '../../deploy/local/ports.ts';
import {
  isRunning,
  type ProcessIdentity,
  signalProcess,
} from '../../deploy/local/process-identity.ts';
import {
  endServer,
  readServerRecord,
  type ServerCommand,
  spawnServer,
} from '../../deploy/local/server-process.ts';

/** An orderly end takes milliseconds (Redis, PostgreSQL) to seconds (Kafka). */
const STOP_TIMEOUT_MS = 20_000;
const KILL_TIMEOUT_MS = 10_000;
const PORT_TIMEOUT_MS = 10_000;

export interface TestServer {
  readonly port: number;
  readonly directory: string;
  /** The pid of the running process; throws when the server is stopped. */
  readonly pid: number;
  readonly isRunning: boolean;
  /** An orderly end, which keeps the data. */
  stop(): Promise<void>;
  /** SIGKILL, or the named signal, and waits until the process is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts a stopped or killed server on its port and its data; resolves when it is ready. */
  start(): Promise<void>;
  /** `stop` when it runs, then `start`. */
  restart(): Promise<void>;
  /** SIGSTOP: the server hangs, its connections stay open. */
  pause(): void;
  /** SIGCONT after `pause`. */
  resume(): void;
}

export interface TestServerPlan {
  /** Makes the command for a start on this port. */
  readonly command: (port: number) => Promise<ServerCommand> | ServerCommand;
  readonly stopSignal: NodeJS.Signals;
  readonly owner: ProcessIdentity;
}

export async function startTestServer(plan: TestServerPlan): Promise<TestServer> {
  const { directory, port } = await onFreePort(async (free) => {
    const command = await plan.command(free);
    await spawnServer(command, plan.owner);
    return command;
  });

  const runningProcess = (): ProcessIdentity => {
    const record = readServerRecord(directory);
    if (record === undefined || !isRunning(record.process)) {
      throw new Error(`the server on port ${port} is not running; start() it first`);
    }
    return record.process;
  };
  const server: TestServer = {
    port,
    directory,
    get pid() {
      return runningProcess().pid;
    },
    get isRunning() {
      const record = readServerRecord(directory);
      return record !== undefined && isRunning(record.process);
    },
    stop: () => endServer(directory, plan.stopSignal, STOP_TIMEOUT_MS),
    kill: (signal = 'SIGKILL') => endServer(directory, signal, KILL_TIMEOUT_MS),
    start: async () => {
      if (server.isRunning) throw new Error(`the server on port ${port} is running already`);
      // A child that it forked, to write its file anew, may outlive it for a moment with its socket.
      await waitFor(async () => ((await isPortFree(port)) ? true : undefined), PORT_TIMEOUT_MS);
      await spawnServer(await plan.command(port), plan.owner);
    },
    restart: async () => {
      await server.stop();
      await server.start();
    },
    pause: () => void signalProcess(runningProcess(), 'SIGSTOP'),
    resume: () => void signalProcess(runningProcess(), 'SIGCONT'),
  };
  return server;
}
