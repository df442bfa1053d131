/** What one script does at most, because nobody else is served meanwhile (lua/README.md). */

/**
 * In the unit that scripts count in (lua/includes/cells.lua), of which one takes Redis some 8 us on slow
 * cores. Only a single request that is more by itself is beyond it.
 */
export const SCRIPT_WORK_MAX = 512;

/** So many cells that are read with all others of their SKU are as much work as one by its name. */
export const CELLS_AT_ONCE = 8;

/**
 * That a cart of several lines looks at: one for each warehouse that a line names, and where a line names
 * none, all where its SKU stands. The largest of the real orders names 2,372.
 */
export const CART_CELLS_MAX = 4_000;

/** Of entries that one look at the log gives; the last of them may end behind it. */
export const TAIL_BYTES = 262_144;
