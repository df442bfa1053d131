/** Of exchanges without a server: what fails in a handler is thrown, and nobody counts answers. */
import type { ExchangeContext } from '../exchange.ts';

export const LOUD_CONTEXT: ExchangeContext = {
  problemBaseUrl: '',
  onError(error) {
    throw error;
  },
  onAnswered: () => undefined,
  onAborted: () => undefined,
};
