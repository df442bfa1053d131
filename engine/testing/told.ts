/** How a client asks: again, while it is told nothing. */
import { until } from './until.ts';

/**
 * Asks again while the answer is a 503, which any request may get on a machine that is busy enough.
 * The request names its id or its key, or changes nothing: so it is done once, however often it is asked.
 */
export async function untilTold<A extends { readonly status: number; readonly body: unknown }>(
  ask: () => Promise<A>,
): Promise<A> {
  let answer = await ask();
  await until(
    () => `an answer; the last is ${JSON.stringify(answer.body)}`,
    async () => {
      if (answer.status !== 503) return true;
      answer = await ask();
      return false;
    },
  );
  return answer;
}
