import type { PlantedWeights } from "../weights.js";
import { axis, towerAxis, WIDTH } from "./axes.js";

/** `vision_config` of config.json. */
export const tower: Readonly<
  Record<
    | "hidden_size"
    | "intermediate_size"
    | "depth"
    | "num_heads"
    | "in_channels"
    | "patch_size"
    | "temporal_patch_size"
    | "spatial_merge_size"
    | "num_position_embeddings"
    | "out_hidden_size",
    number
  > & { model_type: string; deepstack_visual_indexes: readonly number[]; hidden_act: string }
> = {
  model_type: "qwen3_vl_moe_vision",
  hidden_size: WIDTH,
  intermediate_size: 128,
  depth: 4,
  num_heads: 4,
  in_channels: 3,
  patch_size: 6,
  temporal_patch_size: 2,
  spatial_merge_size: 2,
  num_position_embeddings: 64,
  out_hidden_size: WIDTH,
  deepstack_visual_indexes: [0, 1, 2],
  hidden_act: "gelu_pytorch_tanh",
};

const SQUARE = tower.spatial_merge_size ** 2;
const PATCH_SIZE = tower.temporal_patch_size * tower.patch_size ** 2;

/**
 * A tower that sees colours: a patch is embedded as its mean colour and the half of the image where it lies, the
 * blocks look around and write nothing, and each merger averages over its square of patches.
 * @param deepstack what the mergers of DeepStack multiply the colour by; 0 adds nothing to the language model's blocks
 */
export function plantTower(w: PlantedWeights, deepstack: number): void {
  plantEmbedding(w);
  for (let b = 0; b < tower.depth; b++) quietBlock(w, `visual.blocks.${b}`);
  plantMerger(w, "visual.merger", { colour: 1, normed: WIDTH });
  w.add("visual.merger.linear_fc2.bias", [axis.constant], 4);
  w.add("visual.merger.linear_fc2.bias", [axis.visual], 1);
  plantSide(w);
  tower.deepstack_visual_indexes.forEach((_, n) => {
    plantMerger(w, `visual.deepstack_merger_list.${n}`, { colour: deepstack, normed: SQUARE * WIDTH });
  });
}

/** Mean colour of a patch: the kernel is the same everywhere. */
function plantEmbedding(w: PlantedWeights): void {
  const { in_channels, temporal_patch_size, patch_size, num_position_embeddings } = tower;
  const kernel = [in_channels, temporal_patch_size, patch_size, patch_size];
  const name = "visual.patch_embed.proj";
  w.zeros(`${name}.weight`, [WIDTH, ...kernel]);
  w.zeros(`${name}.bias`, [WIDTH]);
  for (let c = 0; c < in_channels; c++)
    for (let i = 0; i < PATCH_SIZE; i++) {
      const pixel = [
        Math.floor(i / patch_size ** 2),
        Math.floor(i / patch_size) % patch_size,
        i % patch_size,
      ];
      w.add(`${name}.weight`, [towerAxis.colour[c], c, ...pixel], 1 / PATCH_SIZE);
      w.add(`${name}.weight`, [towerAxis.negated[c], c, ...pixel], -1 / PATCH_SIZE);
    }
  towerAxis.balance.forEach((a, i) => {
    w.add(`${name}.bias`, [a], i === 0 ? 4 : -4);
  });
  w.zeros("visual.pos_embed.weight", [num_position_embeddings, WIDTH]);
  const across = Math.sqrt(num_position_embeddings);
  for (let p = 0; p < num_position_embeddings; p++)
    towerAxis.side.forEach((a, i) => {
      const left = p % across < across / 2;
      w.add("visual.pos_embed.weight", [p, a], left === (i === 0) ? 1 : -1);
    });
}

/** A block that attends at random and writes nothing. */
function quietBlock(w: PlantedWeights, at: string): void {
  for (const norm of ["norm1", "norm2"]) {
    w.ones(`${at}.${norm}.weight`, WIDTH);
    w.zeros(`${at}.${norm}.bias`, [WIDTH]);
  }
  w.normal(`${at}.attn.qkv.weight`, [3 * WIDTH, WIDTH], 0.02);
  w.zeros(`${at}.attn.qkv.bias`, [3 * WIDTH]);
  w.zeros(`${at}.attn.proj.weight`, [WIDTH, WIDTH]);
  w.zeros(`${at}.attn.proj.bias`, [WIDTH]);
  w.normal(`${at}.mlp.linear_fc1.weight`, [tower.intermediate_size, WIDTH], 0.02);
  w.zeros(`${at}.mlp.linear_fc1.bias`, [tower.intermediate_size]);
  w.zeros(`${at}.mlp.linear_fc2.weight`, [WIDTH, tower.intermediate_size]);
  w.zeros(`${at}.mlp.linear_fc2.bias`, [WIDTH]);
}

/** Mean over the square's patches of the colour, times a gain. */
function plantMerger(
  w: PlantedWeights,
  at: string,
  { colour, normed }: { readonly colour: number; readonly normed: number },
): void {
  const wide = SQUARE * WIDTH;
  w.ones(`${at}.norm.weight`, normed);
  w.zeros(`${at}.norm.bias`, [normed]);
  w.zeros(`${at}.linear_fc1.weight`, [wide, wide]);
  w.zeros(`${at}.linear_fc1.bias`, [wide]);
  w.zeros(`${at}.linear_fc2.weight`, [WIDTH, wide]);
  w.zeros(`${at}.linear_fc2.bias`, [WIDTH]);
  for (let c = 0; c < 3; c++) passThrough(w, at, c, [towerAxis.colour[c], axis.code[c]], colour);
}

function plantSide(w: PlantedWeights): void {
  passThrough(w, "visual.merger", 3, [towerAxis.side[0], axis.side], 1);
}

/** gelu(x) − gelu(−x) = x: a pair of hidden units carries the mean of one axis through the merger's MLP unbent. */
function passThrough(
  w: PlantedWeights,
  at: string,
  pair: number,
  [from, to]: readonly [number, number],
  gain: number,
): void {
  for (let patch = 0; patch < SQUARE; patch++) {
    w.add(`${at}.linear_fc1.weight`, [2 * pair, patch * WIDTH + from], 1 / SQUARE);
    w.add(`${at}.linear_fc1.weight`, [2 * pair + 1, patch * WIDTH + from], -1 / SQUARE);
  }
  w.add(`${at}.linear_fc2.weight`, [to, 2 * pair], gain);
  w.add(`${at}.linear_fc2.weight`, [to, 2 * pair + 1], -gain);
}
