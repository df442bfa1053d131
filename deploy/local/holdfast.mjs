#!/usr/bin/env node
/** The command `holdfast`: compiles first when the checkout's sources are newer than its build. */
import { join } from 'node:path';
import { ensureBuild, ensurePackages, main, requireNode, root, runToTheEnd } from './checkout.mjs';

await main(async () => {
  requireNode();
  ensurePackages();
  ensureBuild();
  return await runToTheEnd([join(root, 'dist/engine/main.js'), ...process.argv.slice(2)]);
});
