/** Plan of loading a checkpoint: whether it stays in memory, and how much disk its float32 copy takes. */
import { ModalscopeError } from "../../errors.js";
import { sizeOf } from "../../tensor.js";
import type { Checkpoint, WeightInfo } from "../checkpoint/index.js";
import { type Family, familyOf, type TextConfig } from "../families/index.js";
import { checkBlocks, checkWeights, withOwnHead } from "./check-weights.js";
import { isExpert } from "./expert-layout.js";
import { ELEMENT_BYTES, type FloatType, heldBytes } from "./pool.js";

/** Shares of the memory; the rest is for what passes through. */
const SHARES = { sessions: 0.7, captures: 0.25, images: 0.02 };
/** For quantised weights that need them: streamed, they would be read as float32 again and again. */
const QUANTISED_SHARES = { sessions: 0.88, captures: 0.07, images: 0.02 };
const PREPACK_OVERHEAD = 1.06;

export interface LoadPlan {
  readonly family: Family;
  readonly config: TextConfig;
  /** Of weights as they are computed with: the blocks', the head's, the experts'. */
  readonly bytes: { readonly blocks: number; readonly head: number; readonly experts: number };
  /** Bytes of memory for sessions. */
  readonly budget: number;
  /** Bytes that the captures of one run may take. */
  readonly captureBytes: number;
  /** Bytes of encoded images that are kept for later runs. */
  readonly imageBytes: number;
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
  const held = quantised ? quantisedShares(stored) : { dense: 1, experts: 1 };
  const { blocks, head, experts } = checkWeights(family, config, stored);
  const bytes = { blocks: blocks * held.dense, head: head * held.dense, experts: experts * held.experts };
  const wide = ELEMENT_BYTES[float] / ELEMENT_BYTES.float32;
  const needed = wide * (bytes.blocks + bytes.head + bytes.experts) * PREPACK_OVERHEAD;
  const fits = ({ sessions }: typeof SHARES): boolean => needed <= memory * sessions;
  const shares = quantised && !fits(SHARES) && fits(QUANTISED_SHARES) ? QUANTISED_SHARES : SHARES;
  const resident = fits(shares);
  const mapped = cache && float === "float32" && !quantised;
  const keepAsStored = (name: string): boolean => !resident && isExpert(name);
  const copied = [...stored.weights.values()].filter(({ name }) => !keepAsStored(name));
  const asTheyAre = copied.every((w) => w.dtype === "F32" && !w.inverse && w.offset % 4 === 0);
  const copyBytes =
    mapped && !asTheyAre ? copied.reduce((n, { shape }) => n + ELEMENT_BYTES.float32 * sizeOf(shape), 0) : 0;
  return {
    family,
    config,
    bytes,
    budget: memory * shares.sessions,
    captureBytes: memory * shares.captures,
    imageBytes: memory * shares.images,
    resident,
    mapped,
    keepAsStored,
    copyBytes,
  };
}

/** What weights take where matrices stay quantised, by what they take in float32: experts, and all others. */
function quantisedShares({ path, weights }: Checkpoint): { dense: number; experts: number } {
  const all = [...weights.values()];
  if (all.every((info) => heldBytes(info) === undefined)) {
    const types = [...new Set(all.filter(({ shape }) => shape.length === 2).map(({ dtype }) => dtype))];
    throw new ModalscopeError(
      `${path} holds no weights that can stay quantised.`,
      `Its matrices are of ${types.join(", ")}; the runtime computes with Q4_0, Q4_1, Q5_0, Q8_0, Q2_K, Q3_K, Q4_K and Q6_K.`,
      'Give a .gguf file with those, or leave weights: "quantised" out.',
    );
  }
  return {
    dense: heldShare(all.filter(({ name }) => !isExpert(name))),
    experts: heldShare(all.filter(({ name }) => isExpert(name))),
  };
}

/** Bytes that weights are held in by their bytes in float32; 1 for none. */
function heldShare(weights: readonly WeightInfo[]): number {
  const wide = ({ shape }: WeightInfo): number => ELEMENT_BYTES.float32 * sizeOf(shape);
  const whole = weights.reduce((sum, info) => sum + wide(info), 0);
  const held = weights.reduce((sum, info) => sum + (heldBytes(info) ?? wide(info)), 0);
  return whole === 0 ? 1 : held / whole;
}
