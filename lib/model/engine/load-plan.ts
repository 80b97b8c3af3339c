/** Plan of loading a checkpoint: whether it stays in memory, and how much disk its float32 copy takes. */
import { sizeOf } from "../../tensor.js";
import type { Checkpoint } from "../checkpoint/index.js";
import { type Family, familyOf, type TextConfig } from "../families/index.js";
import { checkBlocks, checkWeights, withOwnHead } from "./check-weights.js";
import { isExpert } from "./expert-layout.js";
import { ELEMENT_BYTES, type FloatType } from "./pool.js";

/** Share of the memory for sessions; another is for captures, and the rest for what passes through. */
const SESSION_SHARE = 0.7;
const PREPACK_OVERHEAD = 1.06;

export interface LoadPlan {
  readonly family: Family;
  readonly config: TextConfig;
  /** Of weights in float32: the blocks', the head's, the experts'. */
  readonly bytes: { readonly blocks: number; readonly head: number; readonly experts: number };
  /** Bytes of memory for sessions. */
  readonly budget: number;
  /** Whether all blocks stay in memory. */
  readonly resident: boolean;
  /** Whether weights are mapped from files. */
  readonly mapped: boolean;
  /** Weights that are read one by one, and never mapped. */
  readonly keepAsStored: (name: string) => boolean;
  /** Bytes of the float32 copy; 0 where the files can be mapped as they are, or are not to be. */
  readonly copyBytes: number;
}

/** @throws ModalscopeError where weights are missing or contradict the config */
export function planLoad(
  stored: Checkpoint,
  { float, memory, cache }: { readonly float: FloatType; readonly memory: number; readonly cache: boolean },
): LoadPlan {
  const family = familyOf(stored.config);
  checkBlocks(family, stored);
  const config = withOwnHead(family, family.parse(stored.config), stored);
  const bytes = checkWeights(family, config, stored);
  const budget = memory * SESSION_SHARE;
  const wide = ELEMENT_BYTES[float] / ELEMENT_BYTES.float32;
  const resident = wide * (bytes.blocks + bytes.head + bytes.experts) * PREPACK_OVERHEAD <= budget;
  const mapped = cache && float === "float32";
  const keepAsStored = (name: string): boolean => !resident && isExpert(name);
  const copied = [...stored.weights.values()].filter(({ name }) => !keepAsStored(name));
  const asTheyAre = copied.every((w) => w.dtype === "F32" && !w.inverse && w.offset % 4 === 0);
  const copyBytes =
    mapped && !asTheyAre ? copied.reduce((n, { shape }) => n + ELEMENT_BYTES.float32 * sizeOf(shape), 0) : 0;
  return { family, config, bytes, budget, resident, mapped, keepAsStored, copyBytes };
}
