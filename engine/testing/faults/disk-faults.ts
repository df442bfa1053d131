/** The primary's disk fills up. */
import { emptyDisk, fillDisk, mountObstacle, releaseDisk, shrinkDisk } from './disk.ts';
import type { Fault } from './fault.ts';

export const DISK_FAULTS: readonly Fault[] = [
  {
    name: 'disk_full',
    group: 'node',
    what: "the file system of the primary's append-only file is full; it has room again when another one sells",
    survives: 'replicated',
    obstacle: mountObstacle,
    async prepare(stack) {
      const primary = await stack.group.primary();
      const nodes = stack.group.nodes.filter(({ index }) => index !== primary.index);
      for (const node of [...nodes, primary]) {
        await node.kill('SIGTERM', 'data');
        shrinkDisk(node);
        await node.restart();
        await stack.group.settled();
      }
    },
    async inject(context) {
      const node = await context.stack.group.primary();
      context.strike();
      fillDisk(node);
      context.note(`the disk of node ${node.index} is full`);
      await context.failedOver(node.index);
      await context.sell(20);
      emptyDisk(node);
    },
    async cleanUp(stack) {
      await stack.group.stop();
      for (const node of stack.group.nodes) releaseDisk(node);
    },
  },
];
