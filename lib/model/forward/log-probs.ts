/** Log-probabilities of some tokens, and the likeliest ones, inside the graph of the head: logits never come to JavaScript. */
import type { Tensor } from "../../tensor.js";
import { type Engine, runSession } from "../engine/index.js";
import { buildPiece, HEAD } from "../families/index.js";
import { input, type Node, ops } from "../graph/index.js";
import { checkTokens } from "./check-tokens.js";

/** Log-probabilities in nats. */
export interface LogProbs {
  /** (rows, ids) */
  readonly logProb: Tensor;
  /** (rows, top): token ids, the likeliest first. */
  readonly topIds: Tensor;
  /** (rows, top) */
  readonly topLogProb: Tensor;
}

/** Logits that are in memory at a time, at least those of one row. */
const LOGITS_TOGETHER = 2 ** 25;

/** How many rows `readLogProbs` takes at once. */
export function rowsTogether({ config }: Engine): number {
  return Math.max(1, Math.floor(LOGITS_TOGETHER / config.vocab_size));
}

/**
 * Reads states (rows, hidden_size) through the final norm and the language head.
 * @param ids for each row its tokens, as many in every row
 * @throws ModalscopeError for an id outside the vocabulary
 */
export async function readLogProbs(
  engine: Engine,
  states: Tensor,
  { ids, top }: { readonly ids: readonly (readonly number[])[]; readonly top: number },
): Promise<LogProbs> {
  checkTokens(ids.flat(), engine.config.vocab_size);
  const [rows, hidden] = states.shape;
  const each = ids[0].length;
  const feeds = {
    x: { data: states.data, shape: [1, rows, hidden] },
    ids: { data: BigInt64Array.from(ids.flat(), BigInt), shape: [1, rows, each] },
  };
  const request = {
    key: `log-probs ${each} ${top}`,
    build: () => logProbs(engine, each, top),
    prepack: false,
  };
  const wanted = ["logProb", ...(top > 0 ? ["topIds", "topLogProb"] : [])];
  const found = await engine.pool.use(request, (session) => runSession(engine, session, feeds, wanted));
  const rowsOf = (name: string, width: number): Tensor => ({
    data: found[name]?.data ?? new Float32Array(0),
    shape: [rows, width],
  });
  return {
    logProb: rowsOf("logProb", each),
    topIds: rowsOf("topIds", top),
    topLogProb: rowsOf("topLogProb", top),
  };
}

function logProbs({ family, config }: Engine, each: number, top: number): Record<string, Node> {
  const x = input("x", [1, "rows", config.hidden_size]);
  const logP = ops.logSoftmax(buildPiece(family, config, HEAD, {}, x).out);
  const ids = input("ids", [1, "rows", each], "int64");
  const logProb = ops.gatherElements(logP, ids);
  if (top === 0) return { logProb };
  const places = ops.topKIndices(logP, top);
  return { logProb, topIds: ops.toFloat(places), topLogProb: ops.gatherElements(logP, places) };
}
