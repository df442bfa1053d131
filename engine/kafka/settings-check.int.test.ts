import { expect, it } from 'vitest';
import { testKafka } from '../testing/servers.ts';
import { connectKafka, ensureTopic } from './connect.ts';
import { judgeTopic, readTopicFacts, type TopicFacts } from './settings-check.ts';

const good: TopicFacts = {
  topic: 'hf.log',
  brokers: 3,
  replicas: 3,
  settings: new Map([
    ['min.insync.replicas', '2'],
    ['unclean.leader.election.enable', 'false'],
    ['cleanup.policy', 'delete'],
  ]),
};
const words = (facts: TopicFacts) =>
  judgeTopic(facts).map(({ severity, what }) => `${severity}: ${what}`);
const set = (name: string, value: string): TopicFacts => ({
  ...good,
  settings: new Map([...good.settings, [name, value]]),
});

it('finds what undoes the replicas of a topic', () => {
  expect(words(good)).toEqual([]);
  expect(words({ ...good, replicas: 1 })).toEqual(['error: has 1 replica on 3 brokers']);
  expect(words(set('min.insync.replicas', '1'))).toEqual([
    'error: min.insync.replicas is 1; it should be 2',
  ]);
  expect(words(set('min.insync.replicas', '3'))).toEqual([
    'warning: min.insync.replicas is 3, with 3 replicas',
  ]);
  expect(words(set('unclean.leader.election.enable', 'true'))).toEqual([
    'error: unclean.leader.election.enable is true',
  ]);
  expect(words(set('cleanup.policy', 'compact'))).toEqual([
    'error: cleanup.policy is compact; it should be delete',
  ]);
});

it('warns of a single broker, and of nothing else about a topic that Holdfast made', async () => {
  const { brokers, namespace } = await testKafka();
  const kafka = connectKafka({ brokers, clientId: 'test', onLog: () => undefined });
  const topic = `${namespace}.settings`;
  expect(await readTopicFacts(kafka, topic)).toBeUndefined();
  await ensureTopic(kafka, { topic, partitions: 1 });
  const facts = await readTopicFacts(kafka, topic);
  expect(facts && words(facts)).toEqual(['warning: has 1 replica on 1 broker']);
});
