/** Rows and columns of the vision tower's tensors: a row for each image, or each of its tiles. */
import type { Batch, BatchImage, Pass } from "../batch/index.js";
import type { Engine } from "../engine/index.js";
import type { VisionConfig } from "../families/index.js";
import { type Hook, isVisual } from "../hooks/index.js";

/** Passes over the same rows: as patches, as the tower's stream (class token first), as tokens after the projector. */
export interface VisionRows {
  readonly patches: Pass;
  readonly tower: Pass;
  readonly tokens: Pass;
}

/** The rows of images in the batch's order; shorter ones are padded on the right. */
export function visionRows(vision: VisionConfig, images: readonly BatchImage[]): VisionRows {
  const counts = images.flatMap(({ image: { grid, tiles } }) => tiles.map(() => grid[1] * grid[2]));
  return {
    patches: rowPass(counts),
    tower: rowPass(counts.map((n) => n + vision.classTokens)),
    tokens: rowPass(counts.map((n) => firstPatch(vision) + n / vision.spatialMergeSize ** 2)),
  };
}

/**
 * Column of the first patch in a row of the projector's: 1 after a class token that the language model sees, −1 where
 * the first patch itself is left out.
 */
export function firstPatch({ classTokens, skippedTokens }: VisionConfig): number {
  return classTokens - skippedTokens;
}

/** The pass whose rows and columns a hook's tensor has: the prompt's, or one of the vision tower's. */
export function passFor({ config }: Engine, { images = [] }: Batch, prompt: Pass): (hook: Hook) => Pass {
  let rows: VisionRows | undefined;
  return (hook) => {
    if (!isVisual(hook)) return prompt;
    rows ??= visionRows(config.vision_config!, images);
    if (hook.shape.includes("patches")) return rows.patches;
    return hook.shape.includes("tokens") ? rows.tokens : rows.tower;
  };
}

function rowPass(lengths: readonly number[]): Pass {
  const size = lengths.length;
  const time = Math.max(...lengths);
  const keyMask = new Uint8Array(size * time);
  lengths.forEach((n, b) => {
    keyMask.fill(1, b * time, b * time + n);
  });
  return {
    size,
    seqLength: time,
    start: 0,
    positionIds: [],
    keyMask,
    tokenPositions: lengths.map((n) => Array.from({ length: n }, (_, i) => i)),
    last: lengths.map((n) => n - 1),
    phase: "prompt",
    past: [],
  };
}
