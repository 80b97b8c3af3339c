/** What a run will hold in memory, reckoned before it starts. */
import { ModalscopeError } from "../errors.js";
import type { Engine } from "./engine.js";
import { scoreBytes } from "./forward.js";
import { showBytes } from "./memory.js";
import type { Pass } from "./pass.js";
import { needsAllQueries, type Plan } from "./plan.js";
import { ELEMENT_BYTES } from "./pool.js";

/** Scores, their mask and the pattern are in memory together. */
export const SCORE_COPIES = 3;

/** Bytes by what they are for. */
export type Demand = Readonly<Record<string, number>>;

/** Logits (batch, n, vocab_size). */
export function logitBytes({ config, float }: Engine, size: number, n: number): number {
  return size * n * config.vocab_size * ELEMENT_BYTES[float];
}

/** Keys and values of all layers. */
export function keyBytes({ config, float }: Engine, size: number, columns: number): number {
  const { num_hidden_layers: layers, num_key_value_heads: heads, head_dim } = config;
  return 2 * layers * size * heads * columns * head_dim * ELEMENT_BYTES[float];
}

/** Attention scores where an edit needs all queries at once, though they are too many to be taken so otherwise. */
export function wholeScoreBytes(engine: Engine, pass: Pass, plan: Plan): number {
  const needed = engine.hooks.some((hook) => typeof hook.piece === "number" && needsAllQueries(hook, plan));
  return needed ? scoreMemory(engine, pass) : 0;
}

/** Attention scores of all queries at once, with their cotangents; nothing where they are few. */
export function scoreMemory(engine: Engine, pass: Pass, targets = 0): number {
  const bytes = scoreBytes(engine, pass) * pass.time;
  return bytes <= engine.scoreLimit ? 0 : bytes * (SCORE_COPIES + 2 * targets);
}

/** @throws ModalscopeError when what is asked for does not fit into the share of the memory that is left for it */
export function checkMemory({ captureLimit }: Engine, demand: Demand): void {
  const parts = Object.entries(demand).filter(([, bytes]) => bytes > 0);
  const total = parts.reduce((n, [, bytes]) => n + bytes, 0);
  if (total <= captureLimit) return;
  throw new ModalscopeError(
    `The ${parts.map(([what, bytes]) => `${what} would take ${showBytes(bytes)}`).join(", the ")}.`,
    `${showBytes(captureLimit)} are left for them.`,
    "Ask for fewer hooks, positions, rows or tokens, or a reduction; send captures to a file (captureTo); or load the model with more memory.",
  );
}
