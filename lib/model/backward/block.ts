/** Vector-Jacobian products of whole blocks with their experts, of the head, and of the residual stream between them. */

import { type Tensor, zerosLike } from "../../tensor.js";
import { vjpEdits } from "../edits/index.js";
import { type Feeds, resolveInnerEdits, runSession, withPiece } from "../engine/index.js";
import { HEAD } from "../families/index.js";
import { blockFeeds, finalNorm, NORMALIZED, pickColumns } from "../forward/index.js";
import { cotangentOf, derivativeBy, frozenInput } from "../graph/index.js";
import type { Hook } from "../hooks/index.js";
import { ADDED, EXPERT_INPUT, EXPERT_POST, EXPERT_WEIGHTS, MLP_OUT } from "../nn/index.js";
import { vjpExperts } from "./experts.js";
import { type BackwardContext, backwardGraph, nothingDepends, vjpPiece } from "./piece.js";

/** The cotangent (targets, batch, time, hidden_size) at a block's input x, from that at its output. */
export async function vjpBlock(back: BackwardContext, layer: number, x: Tensor, g: Tensor): Promise<Tensor> {
  const feeds = blockFeeds(back, layer, { pass: back.pass, x, attention: back.attention });
  const experts = await vjpBlockExperts(back, layer, feeds, g);
  return vjpPiece(back, layer, feeds, { out: g, ...experts });
}

/**
 * The cotangent (targets, batch, time, hidden_size) at the final norm's input, from that of logits at some columns:
 * the head's matrix is pulled through at these alone, the norm at all.
 */
export async function vjpHead(
  back: BackwardContext,
  x: Tensor,
  columns: readonly (readonly number[])[],
  g: Tensor,
): Promise<Tensor> {
  const { engine, pass } = back;
  const normalized = await finalNorm(back, pass, x);
  const variant = { frozen: [NORMALIZED] };
  const request = backwardGraph(engine, HEAD, { wrt: [NORMALIZED], frozen: [], from: ["out"], variant });
  const feeds = { [frozenInput(NORMALIZED)]: pickColumns(normalized, columns), [cotangentOf("out")]: g };
  const d = derivativeBy(NORMALIZED);
  const results = await engine.pool.use(request, (session) => runSession(engine, session, feeds, [d]));
  const spread = scatterPositions(results[d], columns, pass.seqLength);
  return vjpPiece(back, HEAD, { x }, { [NORMALIZED]: spread }, { only: "hookPoints" });
}

/**
 * Cotangents by the inputs of a sparse block's experts, which arrive in the block's own graph; none where there are no
 * experts, or where their sum is a constant.
 */
async function vjpBlockExperts(
  back: BackwardContext,
  layer: number,
  feeds: Feeds,
  g: Tensor,
): Promise<Feeds> {
  const { engine, pass, plan, gradients } = back;
  if (!engine.family.experts?.(engine.config, layer)) return {};
  const hookOf = (local: string): Hook => engine.hooks.find((h) => h.piece === layer && h.local === local)!;
  const [added, sum, post] = [ADDED, MLP_OUT, EXPERT_POST].map(hookOf);
  let cotangent = g;
  for (const [hook, before] of [
    [added, sum],
    [sum, post],
  ]) {
    if (back.wrt.includes(hook)) gradients.set(hook.name, cotangent);
    if (back.frozen.includes(hook)) {
      const lost = [before, post].find((h) => back.wrt.includes(h));
      if (lost) throw nothingDepends(lost.name);
      return {};
    }
    cotangent = vjpEdits(cotangent, hook, plan.get(hook.name) ?? [], pass);
  }
  const { variant, inputs } = await resolveInnerEdits(back, layer, feeds, pass);
  const read = await withPiece(engine, layer, variant, (session) =>
    runSession(engine, session, { ...feeds, ...inputs }, [EXPERT_INPUT, EXPERT_WEIGHTS]),
  );
  const values = { input: read[EXPERT_INPUT], weights: read[EXPERT_WEIGHTS] };
  const d = await vjpExperts(back, layer, values, cotangent, back.frozen.includes(post));
  if (back.wrt.includes(post)) gradients.set(post.name, d.post);
  return { [EXPERT_INPUT]: d.input, [EXPERT_WEIGHTS]: d.weights };
}

function recordGradient({ gradients, wrt }: BackwardContext, name: string, g: Tensor): void {
  if (wrt.some((h) => h.name === name)) gradients.set(name, g);
}

/** Pulls a cotangent through a hook of the stream, whose gradient it is; zero where the stream is frozen. */
export function vjpStream(back: BackwardContext, name: string, g: Tensor): Tensor {
  recordGradient(back, name, g);
  if (back.frozen.some((h) => h.name === name)) {
    return { data: zerosLike(g.data, g.data.length), shape: g.shape };
  }
  const edits = back.plan.get(name);
  return edits ? vjpEdits(g, back.engine.hooks.find((h) => h.name === name)!, edits, back.pass) : g;
}

/** Puts (targets, batch, n, d) at its columns in zeros (targets, batch, time, d). */
function scatterPositions(g: Tensor, columns: readonly (readonly number[])[], time: number): Tensor {
  const [count, size, n, width] = g.shape;
  const data = zerosLike(g.data, count * size * time * width);
  for (let m = 0; m < count; m++) {
    for (let b = 0; b < size; b++) {
      columns[b].forEach((column, i) => {
        const from = ((m * size + b) * n + i) * width;
        const to = ((m * size + b) * time + column) * width;
        // A column may be named twice: its derivatives add up.
        for (let j = 0; j < width; j++) data[to + j] += g.data[from + j];
      });
    }
  }
  return { data, shape: [count, size, time, width] };
}
