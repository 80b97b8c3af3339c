import type { Weights } from "../../../lib/model/training/index.js";
import type { Tensor } from "../../../lib/tensor.js";

/** Writers into a stream: shrunk by √(2 · blocks), so that their sum starts at the size of one (GPT-2). */
const WRITERS =
  /^(model\.layers|vision_tower\.encoder\.layers|visual\.blocks)\.\d+\..*(o_proj|out_proj|down_proj|fc2|attn\.proj)(\.weight)?$/;
/** Gemma's norms of what is written, whose gains are added to 1: they undo the scale of the matrices before them. */
const WRITTEN = /^model\.layers\.\d+\.post_(attention|feedforward)_layernorm\.weight$/;
const POSITIONS = /pos(ition)?_embed(ding)?\.weight$/;
/** So positions begin at about the size of the patches that they are added to: a tower tells places apart sooner. */
const POSITION_FACTOR = 8;

/** Blocks that write from the beginning where the others must learn to: as many as DeepStack writes into. */
const FIRST_BLOCKS = 3;

/** Of a language model, with the number of its block. */
const BLOCK = /^model\.layers\.(\d+)\./;

/** Changes fresh weights so that a deep and narrow model learns sooner. */
export function residualScale(weights: Weights): void {
  const blocks = new Map<string, Set<string>>();
  const written = [...weights].filter(([name]) => WRITERS.test(name) && !name.endsWith("bias"));
  const stream = (name: string): string => name.replace(/\.\d+\..*/, "");
  for (const [name] of written) {
    const known = blocks.get(stream(name)) ?? new Set();
    blocks.set(stream(name), known.add(/\.\d+\./.exec(name)![0]));
  }
  const factor = (name: string): number => 1 / Math.sqrt(2 * blocks.get(stream(name))!.size);
  const scale = (data: Tensor["data"], by: number): void => {
    for (let i = 0; i < data.length; i++) data[i] *= by;
  };
  for (const [name, { data }] of written) scale(data, factor(name));
  for (const [name, { data }] of weights) {
    if (POSITIONS.test(name)) scale(data, POSITION_FACTOR);
    if (isWrittenNorm(weights, name)) data.fill(factor(name) - 1);
  }
}

/** Scales a tensor to a standard deviation (about 0). */
export function scaleTo({ data }: Tensor, deviation: number): void {
  const now = Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length);
  for (let i = 0; i < data.length; i++) data[i] *= deviation / now;
}

/**
 * The language model's blocks from one on add nothing to the stream until they learn to: a deep model then begins to
 * learn as fast as a shallow one (Bachlechner et al. 2020, https://arxiv.org/abs/2003.04887).
 */
export function zeroInitBlocks(weights: Weights, from: number): void {
  const names = [...weights.keys()].filter((name) => Number(BLOCK.exec(name)?.[1] ?? -1) >= from);
  const norms = names.filter((name) => isWrittenNorm(weights, name));
  for (const name of norms) weights.get(name)!.data.fill(-1);
  if (norms.length > 0) return;
  for (const name of names.filter((name) => WRITERS.test(name))) weights.get(name)!.data.fill(0);
}

/** Whether a norm scales what a block writes, as Gemma's do; Llama's norm of the same name comes before the MLP. */
function isWrittenNorm(weights: Weights, name: string): boolean {
  return WRITTEN.test(name) && weights.has(name.replace(/post_\w+/, "pre_feedforward_layernorm"));
}

/** As all the checkpoints begin that see: what a deep and narrow model learns from soonest. */
export function deepAndNarrow(weights: Weights): void {
  residualScale(weights);
  zeroInitBlocks(weights, FIRST_BLOCKS);
}

/** Tokens' vectors of a size that the blocks' first words do not drown, and a head that begins near even odds. */
export function untied(weights: Weights): void {
  scaleTo(weights.get("model.embed_tokens.weight")!, 0.5);
  scaleTo(weights.get("lm_head.weight")!, 0.05);
}

/** DeepStack adds nothing until it learns to: the tower has learned to fill the first readout alone. */
export function zeroInitDeepstack(weights: Weights): void {
  for (const [name, { data }] of weights)
    if (/^visual\.deepstack_merger_list\.\d+\.linear_fc2\./.test(name)) data.fill(0);
}
