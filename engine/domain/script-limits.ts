/** What one script does at most, because nobody else is served meanwhile (lua/README.md). */

/**
 * In the unit that scripts count in (lua/includes/cells.lua), of which one takes Redis some 8 us on slow
 * cores. Only a single request that is more by itself is beyond it.
 */
export const SCRIPT_WORK_MAX = 512;

/** Of entries that one look at the log gives; the last of them may end behind it. */
export const TAIL_BYTES = 262_144;
