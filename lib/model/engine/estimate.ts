/** Memory a run will need, estimated before it starts. */

import { formatBytes } from "../../bytes.js";
import { ModalscopeError } from "../../errors.js";
import { keyCount, type Pass } from "../batch/index.js";
import { needsAllQueries, type Plan } from "../edits/index.js";
import type { Experts } from "../nn/index.js";
import type { Engine } from "./engine.js";
import { ELEMENT_BYTES } from "./pool.js";

/** Scores, their mask and the pattern are in memory together. */
const SCORE_COPIES = 3;
/** A block holds its stream, normed streams and sums; queries, keys and values, some of them turned; the MLP's inner values. */
const STREAM_COPIES = 6;
const HEAD_COPIES = 2;
const INNER_COPIES = 4;

/** An expert's tokens are in memory as they are gathered and as each expert has them, what comes of them likewise. */
const ROUTE_COPIES = 4;

/** Bytes by what they are for. */
export type MemoryDemand = Readonly<Record<string, number>>;

/** Logits (batch, n, vocab_size). */
export function logitBytes({ config, float }: Engine, size: number, n: number): number {
  return size * n * config.vocab_size * ELEMENT_BYTES[float];
}

/** Keys and values of all layers. */
export function keyBytes({ config, float }: Engine, size: number, columns: number): number {
  const { num_hidden_layers: layers, num_key_value_heads: heads, head_dim } = config;
  return 2 * layers * size * heads * columns * head_dim * ELEMENT_BYTES[float];
}

/** The lengths that a block's memory follows from. */
export interface BlockWidths {
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads?: number;
  readonly head_dim: number;
}

/** Bytes that a block holds for each token, attention scores apart. */
export function tokenBytes(widths: BlockWidths, element: number): number {
  const { hidden_size, intermediate_size, num_attention_heads: heads, head_dim } = widths;
  const turned = (heads + 2 * (widths.num_key_value_heads ?? heads)) * head_dim;
  return element * (STREAM_COPIES * hidden_size + HEAD_COPIES * turned + INNER_COPIES * intermediate_size);
}

/** Bytes of a processor's last-level cache; a block on more runs a third slower. */
const CPU_CACHE_BYTES = 2 ** 25;
/** Fewer tokens do not pay for reading a block's weights once more. */
const MIN_TOKENS = 256;

/** About as many tokens as a block on a processor runs fastest on. */
export function tokensInCache(widths: BlockWidths, element: number): number {
  return Math.max(MIN_TOKENS, Math.floor(CPU_CACHE_BYTES / tokenBytes(widths, element)));
}

/** Bytes of the scores of one query of every row, with their copies. */
export function queryScoreBytes(heads: number, size: number, keys: number, element: number): number {
  return SCORE_COPIES * size * heads * keys * element;
}

/** Bytes that a block of the language model works with for each column of a pass, all rows together. */
export function columnBytes({ config, float }: Engine, pass: Pass): number {
  const element = ELEMENT_BYTES[float];
  const scores = queryScoreBytes(config.num_attention_heads, pass.size, keyCount(pass), element);
  return scores + pass.size * tokenBytes(config, element);
}

/** Bytes that a token takes at one of its experts. */
export function routeBytes({ config, float }: Engine, { expertDim }: Experts): number {
  return ROUTE_COPIES * (config.hidden_size + expertDim) * ELEMENT_BYTES[float];
}

/** Bytes that one call for experts works with, on `vectors` for each token; none where the model has no experts. */
function expertBytes(engine: Engine, { size, seqLength: time }: Pass, vectors = 1): number {
  const { family, config, workBytes } = engine;
  const blocks = Array.from({ length: config.num_hidden_layers }, (_, l) => {
    const experts = family.experts?.(config, l);
    return experts ? experts.topK * routeBytes(engine, experts) : 0;
  });
  return Math.min(workBytes, size * time * vectors * Math.max(...blocks));
}

/** Bytes that one call of a block works with: its queries are taken in parts, unless an edit needs all of them. */
export function blockBytes(engine: Engine, pass: Pass, plan: Plan): number {
  const column = columnBytes(engine, pass);
  const whole = engine.hooks.some((hook) => typeof hook.piece === "number" && needsAllQueries(hook, plan));
  const before = whole
    ? column * pass.seqLength
    : Math.min(column * pass.seqLength, Math.max(column, engine.workBytes));
  return Math.max(before, expertBytes(engine, pass));
}

/** Bytes that a block works with when cotangents go back through it, which takes all columns at once. */
export function backwardBytes(engine: Engine, pass: Pass, targets: number): number {
  const vectors = 1 + targets;
  return Math.max(pass.seqLength * columnBytes(engine, pass) * vectors, expertBytes(engine, pass, vectors));
}

/** @throws ModalscopeError when what is asked for does not fit into the share of the memory that is left for it */
export function checkMemory({ captureBytes }: Engine, demand: MemoryDemand): void {
  const parts = Object.entries(demand).filter(([, bytes]) => bytes > 0);
  const total = parts.reduce((n, [, bytes]) => n + bytes, 0);
  if (total <= captureBytes) return;
  throw new ModalscopeError(
    `The ${parts.map(([what, bytes]) => `${what} would take ${formatBytes(bytes)}`).join(", the ")}.`,
    `${formatBytes(captureBytes)} are left for them.`,
    "Ask for fewer hooks, positions, rows or tokens, or a reduction; send captures to a file (captureTo); or load the model with more memory.",
  );
}
