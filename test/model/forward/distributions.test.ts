import assert from "node:assert/strict";
import { it } from "node:test";
import { earlyExit } from "../../../lib/analysis/index.js";
import { initialWeights } from "../../../lib/model/index.js";
import { unembedding } from "../../../lib/model/methods/index.js";
import { seeded } from "../../../lib/random.js";
import { withCheckpoint } from "../../../lib/studies/random-twin.js";
import { assertClose } from "../../analysis/goldens.js";

const CONFIG = {
  model_type: "qwen2",
  hidden_size: 8,
  intermediate_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 1,
  num_key_value_heads: 1,
  // Not a multiple of what is summed at once.
  vocab_size: 150_001,
  max_position_embeddings: 8,
  tie_word_embeddings: false,
};

/** Heads whose distributions are nearly even (17 bits), and of 9 bits. */
for (const scale of [0.05, 1])
  it(`readings of 150,001 tokens are those in float64, with logits of about ${scale}`, async () => {
    const random = seeded(5);
    const weights = initialWeights(CONFIG, 1);
    const head = weights.get("lm_head.weight")!;
    for (let i = 0; i < head.data.length; i++) head.data[i] = scale * random.normal();
    await withCheckpoint({ config: CONFIG, weights }, async (model) => {
      const [depth, count, width] = [4, 3, CONFIG.hidden_size];
      const drawn = (...shape: number[]) => ({
        data: Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.normal()),
        shape,
      });
      const states = drawn(depth, count, width);
      // The last two states hardly differ.
      for (let i = 0; i < count * width; i++) {
        const at = (depth - 1) * count * width + i;
        states.data[at] = states.data[at - count * width] + 0.01 * random.normal();
      }
      const { forward, read } = unembedding(model);
      const options = {
        tokens: [3, 149_999, 150_000],
        references: { logits: await forward(drawn(count, width)) },
        referenceStates: { states: drawn(count, width) },
      };
      // Without readings of its own earlyExit computes them in float64 from the logits. Tolerances are of the largest value.
      const [inside, exact] = [
        await earlyExit(states, { forward, read }, options),
        await earlyExit(states, { forward }, options),
      ];
      assertClose(inside.entropy.data, exact.entropy.data, 5e-7, "entropy");
      assertClose(inside.change.data, exact.change.data, 1e-6, "change");
      assertClose(inside.probability.data, exact.probability.data, 2e-6, "probability");
      assert.deepEqual(inside.rank.data, exact.rank.data);
      for (const name of ["logits", "states"])
        assertClose(inside.distance[name].data, exact.distance[name].data, 1e-6, `distance to ${name}`);
    });
  });
