/** What we mend in kafkajs, seen on a real broker. */
import { afterEach, expect, it, vi } from 'vitest';
import { testKafka } from '../testing/servers.ts';
import { connectKafka, createProducer, ensureTopic } from './connect.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

it('a client sets no timer that has long passed, and what waits is sent all the same', async () => {
  const { brokers, namespace } = await testKafka();
  const kafka = connectKafka({ brokers, clientId: 'test', onLog: () => undefined });
  const topic = `${namespace}.queue`;
  await ensureTopic(kafka, { topic, partitions: 1 });
  const producer = createProducer(kafka);
  await producer.connect();
  const timers = vi.spyOn(globalThis, 'setTimeout');
  const send = (value: string) => producer.send({ topic, messages: [{ partition: 0, value }] });
  // One in flight: the others wait for it.
  const sent = await Promise.all(['a', 'b', 'c'].map(send));
  const offsets = sent.map(([record]) => record?.baseOffset);
  expect(new Set(offsets)).toEqual(new Set(['0', '1', '2']));
  expect(timers.mock.calls.filter(([, ms]) => (ms ?? 0) < 0)).toEqual([]);
  await producer.disconnect();
});
