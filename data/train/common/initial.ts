import type { Weights } from "../../../lib/model/train.js";
import type { Tensor } from "../../../lib/tensor.js";

/** What writes into a stream: shrunk by √(2 · blocks), so that the sum of all starts at the size of one (GPT-2). */
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
    if (WRITTEN.test(name) && weights.has(name.replace(/post_\w+/, "pre_feedforward_layernorm")))
      data.fill(factor(name) - 1);
  }
}

/** Blocks of the language model from one on add nothing to the stream, until they learn to. */
export function silence(weights: Weights, from: number): void {
  for (const [name, { data }] of weights)
    if (WRITERS.test(name) && Number(/^model\.layers\.(\d+)/.exec(name)?.[1] ?? -1) >= from) data.fill(0);
}
