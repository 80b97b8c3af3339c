import type { Tensor } from "../../tensor.js";
import { BIASES, backwardGraph } from "../backward/index.js";
import { floats, runSession } from "../engine/index.js";
import { HEAD } from "../families/index.js";
import { NORMALIZED, pickColumns } from "../forward/index.js";
import { cotangentOf, derivativeBy, frozenInput } from "../graph/index.js";
import type { FrozenRun } from "./freeze.js";
import type { PullTarget } from "./pull-options.js";

/**
 * Directions of logits as targets: the vector that `ln_final.hook_normalized` is read with at the last token, from a
 * cotangent over the vocabulary, before a soft cap.
 * @param cotangents (n, vocab_size), such as one token's 1 with the mean taken away
 * @returns the targets, and what the head's biases add to each
 */
export async function logitTargets(
  { held, batch }: FrozenRun,
  cotangents: Tensor,
): Promise<{ targets: PullTarget[]; constants: Float32Array }> {
  const { engine, values } = held;
  const [n, vocabulary] = cotangents.shape;
  const column = batch.last[0];
  const request = backwardGraph(engine, HEAD, {
    wrt: [NORMALIZED],
    frozen: [],
    from: ["out"],
    variant: { frozen: [NORMALIZED], uncapped: true },
    biases: true,
  });
  const feeds = {
    [frozenInput(NORMALIZED)]: pickColumns(values.get(NORMALIZED)!, [[column]]),
    [cotangentOf("out")]: { data: cotangents.data, shape: [n, 1, 1, vocabulary] },
  };
  const d = derivativeBy(NORMALIZED);
  const found = await engine.pool.use(request, (session) =>
    runSession(
      engine,
      session,
      feeds,
      [d, BIASES].filter((name) => session.outputNames.includes(name)),
    ),
  );
  const width = engine.config.hidden_size;
  const targets = Array.from({ length: n }, (_, i) => ({
    hook: NORMALIZED,
    column,
    vector: found[d].data.slice(i * width, (i + 1) * width),
  }));
  return { targets, constants: found[BIASES]?.data ?? floats(engine, n) };
}
