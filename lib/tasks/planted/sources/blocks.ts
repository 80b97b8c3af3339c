/** Blocks of the planted two-source models, and the two things that one can be made to do: look, and multiply. */
import type { PlantedWeights } from "../weights.js";
import { axis, CODE, HEAD_SIZE, INTERMEDIATE, SCALE, WIDTH } from "./axes.js";

/** Pairs of dimensions turn by less than 1e-3 radians a position from here on: where a token stands hardly matters. */
const SLOW = { rest: 6, asked: 7 } as const;

const at = (layer: number): string => `language_model.model.layers.${layer}`;

/** A block that writes nothing. */
export function quietBlock(w: PlantedWeights, layer: number): void {
  const p = at(layer);
  w.ones(`${p}.input_layernorm.weight`, WIDTH);
  w.ones(`${p}.post_attention_layernorm.weight`, WIDTH);
  for (const name of ["q_proj", "k_proj", "v_proj", "o_proj"])
    w.zeros(`${p}.self_attn.${name}.weight`, [WIDTH, WIDTH]);
  w.normal(`${p}.mlp.gate_proj.weight`, [INTERMEDIATE, WIDTH], 0);
  w.zeros(`${p}.mlp.up_proj.weight`, [INTERMEDIATE, WIDTH]);
  w.zeros(`${p}.mlp.down_proj.weight`, [WIDTH, INTERMEDIATE]);
}

/** Action of a head: tokens on one axis attend to tokens on another, and take what these hold. All others rest. */
export interface Look {
  readonly layer: number;
  readonly head: number;
  /** Axis of the queries. */
  readonly asks: number;
  /** Axis of the keys. */
  readonly flag: number;
  /** Axes whose mean over the keys is moved, and where to. */
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/**
 * Scores are about 24 for keys that are looked for, 12 for the first token and 0 for all others, which leaves 10⁻⁴ of a
 * head's attention to those that it should not see.
 */
export function plantLook(w: PlantedWeights, { layer, head, asks, flag, from, to }: Look): void {
  const attn = `${at(layer)}.self_attn`;
  const dim = (i: number): number => head * HEAD_SIZE + i;
  w.add(`${attn}.q_proj.weight`, [dim(SLOW.asked), asks], 10 * SCALE);
  w.add(`${attn}.k_proj.weight`, [dim(SLOW.asked), flag], 10 * SCALE);
  w.add(`${attn}.q_proj.weight`, [dim(SLOW.rest), axis.constant], 0.6);
  w.add(`${attn}.k_proj.weight`, [dim(SLOW.rest), axis.first], 10 * SCALE);
  from.forEach((source, i) => {
    w.add(`${attn}.v_proj.weight`, [dim(i), source], SCALE);
    w.add(`${attn}.o_proj.weight`, [to[i], dim(i)], 1);
  });
}

/** Makes a block's MLP add the product of two axes to a third: silu(z + a)·b − silu(z)·b = a·b for large z. */
export function plantProduct(w: PlantedWeights, layer: number, to: number): void {
  const mlp = `${at(layer)}.mlp`;
  const [a, b] = axis.factor;
  for (const [unit, sign] of [
    [0, 1],
    [1, -1],
  ]) {
    w.add(`${mlp}.gate_proj.weight`, [unit, axis.constant], 2);
    w.add(`${mlp}.up_proj.weight`, [unit, b], SCALE);
    w.add(`${mlp}.down_proj.weight`, [to, unit], sign);
  }
  // Codes of two factors of length 1 give a code of length 1.
  w.add(`${mlp}.gate_proj.weight`, [0, a], SCALE / CODE);
}
