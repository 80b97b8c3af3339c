/** Part of a data set: trained on, or held out. */
export type Split = "train" | "heldout";

/** Of 100 underlying contents (problems, images), about this many are never trained on. */
export const HELD_OUT_PERCENT = 15;

/**
 * The split of something. It depends on the key alone, not on a seed: whatever is drawn from one split with any
 * seed is never drawn from the other.
 */
export function splitOf(key: string): Split {
  return fnv1a(key) % 100 < HELD_OUT_PERCENT ? "heldout" : "train";
}

/** 32-bit FNV-1a over UTF-16 code units. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash ^= text.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193);
  }
  // FNV's low bits mix poorly on short keys; fold the high half in before taking a remainder.
  return (hash ^ (hash >>> 15)) >>> 0;
}
