/** The choice of the next token from its logits. */
import type { Random } from "../../random.js";
import type { GenerateOptions } from "./generate-options.js";

/** The likeliest token, or one drawn from the distribution cut to the top k and the nucleus p. */
export function sampleToken(
  logits: Float32Array,
  { temperature = 0, topK, topP }: Pick<GenerateOptions, "temperature" | "topK" | "topP">,
  random: Random,
): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  if (temperature <= 0) return best;
  // Tokens this far below the best have no weight that a float could show: most of a large vocabulary.
  const floor = logits[best] - 40 * temperature;
  let order = Array.from(logits.keys()).filter((i) => logits[i] >= floor);
  order.sort((a, b) => logits[b] - logits[a]);
  if (topK !== undefined) order = order.slice(0, Math.max(1, topK));
  const weights = order.map((i) => Math.exp((logits[i] - logits[best]) / temperature));
  const kept = nucleus(weights, topP ?? 1);
  let point = random.uniform() * kept.reduce((a, b) => a + b, 0);
  for (let i = 0; i < kept.length; i++) {
    point -= kept[i];
    if (point < 0) return order[i];
  }
  return order[kept.length - 1];
}

/** The fewest leading weights that hold a share p of the total. */
function nucleus(weights: readonly number[], p: number): number[] {
  const target = p * weights.reduce((a, b) => a + b, 0);
  let sum = 0;
  let n = 0;
  while (n < weights.length && sum < target) sum += weights[n++];
  return weights.slice(0, Math.max(1, n));
}
