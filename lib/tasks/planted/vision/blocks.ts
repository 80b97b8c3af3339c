/** Blocks of the planted language models, and the two things that one can be made to do: look, and use an expert. */
import type { PlantedWeights } from "../weights.js";
import { axis, WIDTH } from "./axes.js";

export const HEADS = 4;
export const KEY_VALUE_HEADS = 2;
export const HEAD_SIZE = 16;
export const EXPERTS = 16;
/** Width of an expert. */
export const EXPERT_DIM = 16;

/** Pairs of dimensions turn by less than 4e-3 radians a position from here on: where a token stands hardly matters. */
const SLOW = { marked: 7, unmarked: 6, side: 5 } as const;

const at = (layer: number): string => `model.layers.${layer}`;

/**
 * A block whose attention is even and writes nothing, so that no token holds a trace of another, and whose experts are chosen at
 * random and write next to nothing.
 */
export function quietBlock(w: PlantedWeights, layer: number): void {
  const p = at(layer);
  w.ones(`${p}.input_layernorm.weight`, WIDTH);
  w.ones(`${p}.post_attention_layernorm.weight`, WIDTH);
  w.zeros(`${p}.self_attn.q_proj.weight`, [HEADS * HEAD_SIZE, WIDTH]);
  w.zeros(`${p}.self_attn.k_proj.weight`, [KEY_VALUE_HEADS * HEAD_SIZE, WIDTH]);
  w.normal(`${p}.self_attn.v_proj.weight`, [KEY_VALUE_HEADS * HEAD_SIZE, WIDTH], 0.001);
  w.zeros(`${p}.self_attn.o_proj.weight`, [WIDTH, HEADS * HEAD_SIZE]);
  w.ones(`${p}.self_attn.q_norm.weight`, HEAD_SIZE);
  w.ones(`${p}.self_attn.k_norm.weight`, HEAD_SIZE);
  w.normal(`${p}.mlp.gate.weight`, [EXPERTS, WIDTH], 0.02);
  w.normal(`${p}.mlp.experts.gate_up_proj`, [EXPERTS, 2 * EXPERT_DIM, WIDTH], 0.0005);
  w.normal(`${p}.mlp.experts.down_proj`, [EXPERTS, WIDTH, EXPERT_DIM], 0.0005);
}

/** Action of a head: attends to the tokens on a flag's axis, and moves what they hold. */
export interface Look {
  /** Axis that marks the tokens to attend to. */
  readonly flag: number;
  /** Axes whose values are moved, and where to. */
  readonly from: readonly number[];
  readonly to: readonly number[];
  readonly gain: number;
  /** Axis that must be set where the head attends from; without it the head rests on words. */
  readonly asked?: number;
  /** Attend to the half of the image that `axis.wantedSide` names. */
  readonly bySide?: boolean;
  /** Axis of the tokens that the head attends to where none has the flag. */
  readonly otherwise?: number;
  /** The head that looks: the first of those that share a key (default 0). */
  readonly head?: 0 | 2;
}

/** Reads the colour off the visual tokens, to where the head of the model looks for the answer. */
export const READ_COLOUR: Look = { flag: axis.visual, from: axis.code, to: axis.answer, gain: 3 };

/** Makes a head of a block look. */
export function plantLook(w: PlantedWeights, layer: number, look: Look): void {
  const attn = `${at(layer)}.self_attn`;
  const { head = 0 } = look;
  const first = head * HEAD_SIZE;
  const firstKey = ((head * KEY_VALUE_HEADS) / HEADS) * HEAD_SIZE;
  const query = (pair: number, from: number, value: number): void =>
    w.add(`${attn}.q_proj.weight`, [first + pair, from], value);
  const key = (pair: number, from: number, value: number): void =>
    w.add(`${attn}.k_proj.weight`, [firstKey + pair, from], value);
  if (look.asked === undefined) query(SLOW.marked, axis.constant, 1);
  else {
    query(SLOW.marked, look.asked, 4);
    query(SLOW.unmarked, axis.constant, 0.25);
    w.add(`${attn}.q_norm.weight`, [SLOW.unmarked], 3);
  }
  w.add(`${attn}.q_norm.weight`, [SLOW.marked], 0.5);
  key(SLOW.marked, look.flag, 1);
  key(SLOW.unmarked, axis.constant, 0.25);
  if (look.otherwise !== undefined) key(SLOW.marked, look.otherwise, 0.1);
  if (look.bySide) {
    query(SLOW.side, axis.wantedSide, 4);
    key(SLOW.side, axis.side, 1);
    w.add(`${attn}.q_norm.weight`, [SLOW.side], 1);
  }
  look.from.forEach((from, i) => {
    w.add(`${attn}.v_proj.weight`, [firstKey + i, from], 1);
    w.add(`${attn}.o_proj.weight`, [look.to[i], first + i], look.gain);
  });
}

/** Sends the tokens on an axis to two experts. */
export function plantRoute(
  w: PlantedWeights,
  layer: number,
  flag: number,
  experts: readonly [number, number],
): void {
  for (const e of experts) w.add(`${at(layer)}.mlp.gate.weight`, [e, flag], 40);
}

/** Makes an expert add a multiple of some axes to others: silu(3 · constant) · from · gain, with room for five moves. */
export function plantExpert(
  w: PlantedWeights,
  layer: number,
  expert: number,
  moves: readonly {
    readonly from: readonly number[];
    readonly to: readonly number[];
    readonly gain: number;
  }[],
): void {
  moves.forEach(({ from, to, gain }, m) => {
    from.forEach((axisFrom, i) => {
      const unit = 3 * m + i;
      w.add(`${at(layer)}.mlp.experts.gate_up_proj`, [expert, unit, axis.constant], 3);
      w.add(`${at(layer)}.mlp.experts.gate_up_proj`, [expert, EXPERT_DIM + unit, axisFrom], 1);
      w.add(`${at(layer)}.mlp.experts.down_proj`, [expert, to[i], unit], gain);
    });
  });
}
