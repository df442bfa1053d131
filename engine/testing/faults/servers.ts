/** The servers of a fault run that need more than the other tests' ones: Kafka behind the network. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { kafkaBroker, kafkaCommand } from '../../../deploy/local/kafka.ts';
import { fetchKafkaJars } from '../../../deploy/local/kafka-jars.ts';
import { currentTestRun, serverDirectory } from '../test-run.ts';
import { startTestServer, type TestServer } from '../test-server.ts';
import type { Network } from './network.ts';

export interface FrontedKafka extends TestServer {
  /** As the workers reach it: through the network, as the party `kafka`. */
  readonly fronted: string;
  /** As the harness reads it. */
  readonly direct: string;
}

/** A broker that tells its clients the front's address, so that none goes around it. */
export async function startFrontedKafka(network: Network): Promise<FrontedKafka> {
  const run = currentTestRun();
  const directory = serverDirectory(run, 'kafka');
  const jarsDirectory = await fetchKafkaJars(process.env, () => undefined);
  const fronts = new Map<number, string>();
  const server = await startTestServer({
    command: async (port) => {
      const command = await kafkaCommand({ directory, port, jarsDirectory });
      const fronted = fronts.get(port) ?? (await frontOf(network, port));
      fronts.set(port, fronted);
      const path = join(directory, 'server.properties');
      const told = readFileSync(path, 'utf8').replace(
        /^advertised\.listeners=.*$/m,
        `advertised.listeners=PLAINTEXT://${fronted}`,
      );
      writeFileSync(path, told);
      return command;
    },
    stopSignal: 'SIGTERM',
    owner: run.owner,
  });
  const fronted = fronts.get(server.port) ?? '';
  return Object.assign(server, { fronted, direct: kafkaBroker(server.port) });
}

async function frontOf(network: Network, port: number): Promise<string> {
  const address = await network.front({
    party: 'kafka',
    upstream: { host: '127.0.0.1', port },
  });
  return `${address.host}:${address.port}`;
}
