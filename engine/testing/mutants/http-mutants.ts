/** Bugs in the server port. */
import type { Mutant } from './mutant.ts';

const UNREAD = ['engine/http/unread.int.test.ts'];

export const HTTP_MUTANTS: readonly Mutant[] = [
  {
    name: 'http-keep-unread-answers',
    breaks: 'bounded memory: what a client does not read is kept without end',
    file: 'engine/http/uws.ts',
    edits: [{ find: 'this.#server.probes.isDue(body.length)', replace: 'body.length < 0' }],
    tests: UNREAD,
  },
  {
    name: 'http-keep-unread-heads',
    breaks: 'the same, of answers without a body and of refusals that close',
    file: 'engine/http/uws.ts',
    edits: [
      {
        find: 'if (this.#server.bareProbes.isDue(isBare ? 0 : body.length)) {',
        replace: 'if (body.length < 0) {',
      },
    ],
    tests: UNREAD,
  },
  {
    name: 'http-forget-unread-answers',
    breaks: 'an answer that is not yet read is not in flight: a server that closes loses it',
    file: 'engine/http/uws.ts',
    edits: [
      {
        find: 'if (!this.#isUnread) this.#server.leave();',
        replace: 'this.#server.leave();',
      },
    ],
    tests: UNREAD,
  },
];
