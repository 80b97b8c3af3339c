/** Plan of loading a checkpoint: whether it stays in memory, and how much disk its float32 copy takes. */
import { ModalscopeError } from "../../errors.js";
import { sizeOf } from "../../tensor.js";
import type { Checkpoint } from "../checkpoint/index.js";
import { type Family, familyOf, type TextConfig } from "../families/index.js";
import { checkBlocks, checkWeights, withOwnHead } from "./check-weights.js";
import { isExpert } from "./expert-layout.js";
import { ELEMENT_BYTES, type FloatType, heldBytes } from "./pool.js";

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

export interface PlanOptions {
  readonly float: FloatType;
  readonly memory: number;
  readonly cache: boolean;
  /** Whether matrices stay as they are quantised in the file. */
  readonly quantised?: boolean;
}

/** @throws ModalscopeError where weights are missing or contradict the config */
export function planLoad(
  stored: Checkpoint,
  { float, memory, cache, quantised = false }: PlanOptions,
): LoadPlan {
  const family = familyOf(stored.config);
  checkBlocks(family, stored);
  const config = withOwnHead(family, family.parse(stored.config), stored);
  const share = quantised ? quantisedShare(stored) : 1;
  const { blocks, head, experts } = checkWeights(family, config, stored);
  const bytes = { blocks: blocks * share, head: head * share, experts };
  const budget = memory * SESSION_SHARE;
  const wide = ELEMENT_BYTES[float] / ELEMENT_BYTES.float32;
  const resident = wide * (bytes.blocks + bytes.head + bytes.experts) * PREPACK_OVERHEAD <= budget;
  const mapped = cache && float === "float32" && !quantised;
  const keepAsStored = (name: string): boolean => !resident && isExpert(name);
  const copied = [...stored.weights.values()].filter(({ name }) => !keepAsStored(name));
  const asTheyAre = copied.every((w) => w.dtype === "F32" && !w.inverse && w.offset % 4 === 0);
  const copyBytes =
    mapped && !asTheyAre ? copied.reduce((n, { shape }) => n + ELEMENT_BYTES.float32 * sizeOf(shape), 0) : 0;
  return { family, config, bytes, budget, resident, mapped, keepAsStored, copyBytes };
}

/** What matrices take that stay quantised, by what they take in float32. */
function quantisedShare({ path, weights }: Checkpoint): number {
  const dense = [...weights.values()].filter(({ name }) => !isExpert(name));
  if (dense.every((info) => heldBytes(info) === undefined)) {
    const types = [...new Set(dense.filter(({ shape }) => shape.length === 2).map(({ dtype }) => dtype))];
    throw new ModalscopeError(
      `${path} holds no weights that can stay quantised.`,
      `Its matrices are of ${types.join(", ")}; the runtime computes with Q4_0, Q4_1, Q5_0, Q8_0, Q2_K, Q3_K, Q4_K and Q6_K.`,
      'Give a .gguf file with those, or leave weights: "quantised" out.',
    );
  }
  const whole = dense.reduce((sum, { shape }) => sum + ELEMENT_BYTES.float32 * sizeOf(shape), 0);
  const held = dense.reduce(
    (sum, info) => sum + (heldBytes(info) ?? ELEMENT_BYTES.float32 * sizeOf(info.shape)),
    0,
  );
  return held / whole;
}
