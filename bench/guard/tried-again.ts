/** Counting makes Redis and engine slow, so that on a busy machine the lane may find what comes late. */
const TRIES_MAX = 3;

/** What fails is tried again from its beginning; the last failure counts. */
export async function triedAgain<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === TRIES_MAX) throw error;
    }
  }
}
