import type { Tensor } from "../../tensor.js";
import { backwardGraph } from "../backward/index.js";
import { runSession, withPiece } from "../engine/index.js";
import { HEAD } from "../families/index.js";
import { type DistributionReadings, type DistributionRequest, readDistributions } from "../forward/index.js";
import { cotangentOf, derivativeBy } from "../graph/index.js";
import type { Model } from "../model.js";

/**
 * Final norm and language head as functions of rows (rows, hidden_size): what the lenses of the analysis read through.
 * `pullback` gives the cotangent of the rows from that of their logits (rows, vocab_size); `read` gives probabilities,
 * ranks, entropies and divergences of states (positions, states, hidden_size) without any logits.
 */
export function unembedding(model: Model): {
  forward(x: Tensor): Promise<Tensor>;
  pullback(x: Tensor, cotangent: Tensor): Promise<Tensor>;
  read(states: Tensor, request: DistributionRequest): Promise<DistributionReadings>;
} {
  const { engine } = model;
  const batched = ({ data, shape }: Tensor, ...lead: number[]): Tensor => ({
    data,
    shape: [...lead, ...shape],
  });
  const rows = ({ data, shape }: Tensor): Tensor => ({ data, shape: shape.slice(-2) });
  return {
    read: (states, request) => readDistributions(engine, states, request),
    async forward(x) {
      return rows(
        (await withPiece(engine, HEAD, {}, (s) => runSession(engine, s, { x: batched(x, 1) }, ["out"]))).out,
      );
    },
    async pullback(x, cotangent) {
      const request = backwardGraph(engine, HEAD, { wrt: [], frozen: [], from: ["out"], variant: {} });
      const feeds = { x: batched(x, 1), [cotangentOf("out")]: batched(cotangent, 1, 1) };
      const dx = derivativeBy("x");
      return rows((await engine.pool.use(request, (s) => runSession(engine, s, feeds, [dx])))[dx]);
    },
  };
}
