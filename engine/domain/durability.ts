/** What an acknowledgement promises to survive (design section 6). They nest, weakest first. */
export const DURABILITY_LEVELS = ['memory', 'logged', 'persisted'] as const;
export type DurabilityLevel = (typeof DURABILITY_LEVELS)[number];

export function isDurabilityLevel(text: string): text is DurabilityLevel {
  return (DURABILITY_LEVELS as readonly string[]).includes(text);
}
