import type { Weights } from "../../../lib/model/train.js";

/** What writes into a stream: shrunk by √(2 · blocks), so that the sum of all starts at the size of one (GPT-2). */
const WRITERS =
  /^(model\.layers|vision_tower\.encoder\.layers|visual\.blocks)\.\d+\..*(o_proj|out_proj|down_proj|fc2|attn\.proj)(\.weight)?$/;

export function residualScale(weights: Weights): void {
  const blocks = new Map<string, Set<string>>();
  const written = [...weights].filter(([name]) => WRITERS.test(name) && !name.endsWith("bias"));
  const stream = (name: string): string => name.replace(/\.\d+\..*/, "");
  for (const [name] of written) {
    const known = blocks.get(stream(name)) ?? new Set();
    blocks.set(stream(name), known.add(/\.\d+\./.exec(name)![0]));
  }
  for (const [name, { data }] of written) {
    const factor = 1 / Math.sqrt(2 * blocks.get(stream(name))!.size);
    for (let i = 0; i < data.length; i++) data[i] *= factor;
  }
}
