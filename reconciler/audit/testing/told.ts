/** What the stores of the tests have been told. */
import { Story } from '../../../engine/testing/auditor/forge.ts';

export const EPOCH = 2 ** 32 + 1;

/** Two warehouses, a pool, and a reservation in every state. */
export function tell(): Story {
  const story = new Story().opened(EPOCH).define('TEA').define('CUP').write();
  story
    .stock('op-1', [
      ['TEA EU-1', 100],
      ['TEA EU-2/web', 40],
    ])
    .write();
  story
    .stock('op-2', [['CUP EU-1', 9]])
    .stock('op-3', [['CUP EU-1', -1]], 'adjust')
    .write();
  story
    .reserve('held', [
      ['TEA EU-1', 3],
      ['CUP EU-1', 1],
    ])
    .reserve('kept', [['TEA EU-1', 5]]);
  story.write();
  story
    .reserve('freed', [['TEA EU-2/web', 2]])
    .reserve('late', [['TEA EU-1', 1]], 60)
    .write();
  story
    .reserve('gone', [['TEA EU-1', 4]])
    .commit('kept', 4)
    .write();
  story.commit('gone').shipOne('kept', '0000000a00000001').release('freed').write();
  story.ship('gone').write();
  story.tick(61_000).expire('late').extend('held', 900).write();
  return story;
}
