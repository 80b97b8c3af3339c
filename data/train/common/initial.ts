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

/** Whether a norm scales what a block writes, as Gemma's do; Llama's norm of the same name comes before the MLP. */
function isWrittenNorm(weights: Weights, name: string): boolean {
  return WRITTEN.test(name) && weights.has(name.replace(/post_\w+/, "pre_feedforward_layernorm"));
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
