/**
 * What the work gives, or an error once `ms` are over. The work goes on, and how it ends is then
 * nobody's matter: its failure is not an unhandled one.
 */
export async function within<T>(
  work: Promise<T>,
  ms: number,
  late = `no answer within ${Math.ceil(ms)} ms`,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(late)), ms);
  });
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
  }
}
