import { expect, it } from 'vitest';
import { Heartbeat } from './heartbeat.ts';

function beating(missedMax: number) {
  const hung: number[] = [];
  const asked: number[] = [];
  const places = [1, 2];
  const heartbeat = new Heartbeat({
    pace: { everyMs: 1_000, missedMax },
    places: () => places,
    ask: (place) => void asked.push(place),
    onHung: (place) => void hung.push(place),
  });
  return { heartbeat, hung, asked, places };
}

it('tells once of a worker that missed so many in a row', () => {
  const { heartbeat, hung } = beating(3);
  for (let beat = 0; beat < 3; beat += 1) {
    heartbeat.beat();
    heartbeat.heard(1);
  }
  expect(hung).toEqual([]);
  heartbeat.beat();
  expect(hung).toEqual([2]);
  for (let beat = 0; beat < 9; beat += 1) {
    heartbeat.heard(1);
    heartbeat.beat();
  }
  expect(hung).toEqual([2]);
});

it('begins anew with every word, and with the next worker there', () => {
  const { heartbeat, hung, asked } = beating(2);
  for (let beat = 0; beat < 20; beat += 1) {
    heartbeat.beat();
    if (beat % 2 === 0) heartbeat.heard(2);
    heartbeat.heard(1);
  }
  expect(hung).toEqual([]);
  expect(asked).toHaveLength(40);
});

it('asks nobody where no worker answers yet', () => {
  const { heartbeat, hung, asked, places } = beating(1);
  places.length = 0;
  heartbeat.beat();
  heartbeat.beat();
  expect([...hung, ...asked]).toEqual([]);
});
