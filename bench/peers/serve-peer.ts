/**
 * One peer as a process of its own: its name and its stores in the environment of the start
 * (peer-process.ts), its address as a message to its parent, with which it ends.
 */
import { expectShortLives } from '../../engine/runtime/collector.ts';
import { PEER_NAMES, recipeOf } from './catalogue.ts';
import { readPeerStart } from './peer-process.ts';
import { startPeerServer } from './server.ts';

expectShortLives();
const { name, units, ...urls } = readPeerStart(process.argv[2]);
const known = PEER_NAMES.find((each) => each === name);
if (known === undefined) throw new Error(`no peer is called '${name}'`);
const peer = await recipeOf(known).create(urls);
await peer.setUp(units);
const server = await startPeerServer(peer);
process.once('disconnect', () => process.exit());
process.send?.({ host: server.host, port: server.port, url: server.url });
