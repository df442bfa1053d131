/** The product's own audit, as an SRE would run it behind a fault: it must agree. */
import { type AuditLimits, runAudit } from '../../../reconciler/audit/audit.ts';
import { connectKafka } from '../../kafka/connect.ts';
import { createKafkaSource } from '../../log/kafka-source.ts';
import type { FaultStack } from './stack.ts';
import type { FaultViolation } from './verdict.ts';

export async function audited(
  stack: FaultStack,
  limits: Partial<AuditLimits> = {},
): Promise<FaultViolation[]> {
  const redis = (await stack.primary()).duplicate();
  redis.on('error', () => undefined);
  const log =
    stack.kafka &&
    createKafkaSource({
      kafka: connectKafka({
        brokers: [stack.kafka.direct],
        clientId: 'holdfast-audit',
        onLog: () => undefined,
      }),
      topic: 'hf.log',
      lane: 0,
      name: 'holdfast-audit',
      onProblem: () => undefined,
    });
  try {
    const { differences } = await runAudit({
      redis,
      pool: stack.pool,
      limits,
      ...(log && { log }),
    });
    return differences.map(({ invariant, where, explanation, redis, postgres, log: logged }) => ({
      invariant,
      where: `audit: ${where}`,
      what: `${explanation} (Redis ${redis}, PostgreSQL ${postgres}, log ${logged})`,
    }));
  } finally {
    redis.disconnect();
    await log?.close();
  }
}
