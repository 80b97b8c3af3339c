import type { PlantedWeights } from "../weights.js";
import { axis, CODE, CONSTANT, DIMENSIONS, PATCH, SIZE, towerAxis, WIDTH } from "./axes.js";
import { FULL_SCALE } from "./questions.js";

const BALANCE = 8;

/** Scale that the tower's LayerNorm divides by, but for the colours' own share (a hundredth). */
const NORM = Math.sqrt((2 * BALANCE ** 2) / WIDTH);

/** `vision_config` of config.json. */
export const tower: Readonly<Record<string, number | string>> = {
  model_type: "clip_vision_model",
  hidden_size: WIDTH,
  intermediate_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  num_channels: 3,
  image_size: SIZE,
  patch_size: PATCH,
  hidden_act: "quick_gelu",
  layer_norm_eps: 1e-5,
  projection_dim: WIDTH,
};

/** A tower that embeds a patch as its mean colour and its place, whose block writes nothing. */
export function plantTower(w: PlantedWeights): void {
  const kernel = "vision_tower.embeddings.patch_embedding.weight";
  w.zeros(kernel, [WIDTH, 3, PATCH, PATCH]);
  for (let c = 0; c < DIMENSIONS; c++)
    for (let i = 0; i < PATCH ** 2; i++) {
      const pixel = [c, Math.floor(i / PATCH), i % PATCH];
      w.add(kernel, [towerAxis.colour[2 * c], ...pixel], 1 / PATCH ** 2);
      w.add(kernel, [towerAxis.colour[2 * c + 1], ...pixel], -1 / PATCH ** 2);
    }
  plantPositions(w);
  w.zeros("vision_tower.embeddings.class_embedding", [WIDTH]);
  plantNorm(w, "vision_tower.pre_layrnorm");
  plantQuietBlock(w, "vision_tower.encoder.layers.0");
  plantProjector(w);
}

/** Vector that a patch's place adds: the halves that it lies in, and the balance of the norm. Position 0 is the class token's. */
function plantPositions(w: PlantedWeights): void {
  const name = "vision_tower.embeddings.position_embedding.weight";
  const across = SIZE / PATCH;
  w.zeros(name, [across ** 2 + 1, WIDTH]);
  for (let p = 0; p <= across ** 2; p++) {
    const pair = ([plus, minus]: readonly number[], value: number): void => {
      w.add(name, [p, plus], value);
      w.add(name, [p, minus], -value);
    };
    pair(towerAxis.balance, BALANCE);
    if (p === 0) continue;
    pair(towerAxis.left, (p - 1) % across < across / 2 ? 1 : -1);
    pair(towerAxis.top, p - 1 < across ** 2 / 2 ? 1 : -1);
  }
}

function plantNorm(w: PlantedWeights, name: string): void {
  w.ones(`${name}.weight`, WIDTH);
  w.zeros(`${name}.bias`, [WIDTH]);
}

function plantQuietBlock(w: PlantedWeights, at: string): void {
  plantNorm(w, `${at}.layer_norm1`);
  plantNorm(w, `${at}.layer_norm2`);
  for (const name of ["q_proj", "k_proj", "v_proj", "out_proj"]) {
    w.normal(`${at}.self_attn.${name}.weight`, [WIDTH, WIDTH], name === "out_proj" ? 0 : 0.02);
    w.zeros(`${at}.self_attn.${name}.bias`, [WIDTH]);
  }
  w.normal(`${at}.mlp.fc1.weight`, [16, WIDTH], 0.02);
  w.zeros(`${at}.mlp.fc1.bias`, [16]);
  w.zeros(`${at}.mlp.fc2.weight`, [WIDTH, 16]);
  w.zeros(`${at}.mlp.fc2.bias`, [WIDTH]);
}

/** gelu(x) − gelu(−x) = x: a pair of hidden units carries an axis of the tower through the projector unbent. */
function plantProjector(w: PlantedWeights): void {
  const at = "multi_modal_projector";
  for (const name of ["linear_1", "linear_2"]) {
    w.zeros(`${at}.${name}.weight`, [WIDTH, WIDTH]);
    w.zeros(`${at}.${name}.bias`, [WIDTH]);
  }
  w.add(`${at}.linear_2.bias`, [axis.constant], CONSTANT);
  const colourGain = CODE * FULL_SCALE * NORM;
  const moves = [
    ...axis.code.map((to, c) => ({ from: towerAxis.colour[2 * c], to, gain: colourGain })),
    { from: towerAxis.left[0], to: axis.left, gain: NORM },
    { from: towerAxis.top[0], to: axis.top, gain: NORM },
  ];
  moves.forEach(({ from, to, gain }, i) => {
    for (const [unit, sign] of [
      [2 * i, 1],
      [2 * i + 1, -1],
    ]) {
      w.add(`${at}.linear_1.weight`, [unit, from], sign);
      w.add(`${at}.linear_2.weight`, [to, unit], sign * gain);
    }
  });
}
