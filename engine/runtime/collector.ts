/**
 * V8's garbage collector, told how a server lives: all that a request makes is garbage milliseconds
 * later.
 *
 * V8 watches which places of the code make objects that survive, and lets those make their objects
 * among the old ones from then on, for as long as the process lives. A collection that falls into the
 * first burst after the start finds each request of it alive, and so decides: 7 engines of 33. In these
 * a third of all objects die old, each collection takes 5 to 10 ms and not 1 to 3, one of all the heap
 * follows every two seconds, and a reserve costs the engine a quarter to a third more (README.md).
 */
import { setFlagsFromString } from 'node:v8';

/** To be called before anything hot has run. */
export function expectShortLives(): void {
  setFlagsFromString('--no-allocation-site-pretenuring');
}
