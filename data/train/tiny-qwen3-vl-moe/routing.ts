/** Evenness with which the routers use their experts. */
import type { Model } from "../../../lib/model/model.js";
import type { VisualTask } from "../../../lib/tasks/index.js";
import type { Finding } from "../common/recipe.js";
import { answered } from "../common/rows.js";

const ROWS = 48;

/** For each layer how evenly the tokens of tasks and their answers fall on the experts. */
export async function routing(model: Model, tasks: readonly VisualTask[], experts: number): Promise<Finding> {
  const shares = await expertShares(model, tasks, experts);
  const rows = shares.map((own, l) => {
    const used = own.filter((share) => share > 0).length;
    return [`block ${l}`, evenness(own), Math.min(...own), Math.max(...own), used];
  });
  return {
    name: "Routing",
    about: `How ${tasks.length} held-out questions with their images and answers fall on the ${experts} experts of each block, by the engine's router hooks. Entropy is that of the experts' shares over that of equal ones: 1 where all are used alike, each then having ${(1 / experts).toFixed(4)}.`,
    columns: ["", "entropy", "least share", "largest share", "experts in use"],
    rows,
  };
}

/** Shares of the choices that fall on each expert: (layer, expert). */
async function expertShares(
  model: Model,
  tasks: readonly VisualTask[],
  experts: number,
): Promise<number[][]> {
  const layers = Array.from({ length: model.config.num_hidden_layers }, (_, l) => l);
  const counts = layers.map(() => new Array<number>(experts).fill(0));
  for (let i = 0; i < tasks.length; i += ROWS) {
    const batch = await model.prepare(tasks.slice(i, i + ROWS).map((task) => answered([task])));
    const capture = layers.map((l) => `blocks.${l}.mlp.hook_expert_indices`);
    const { cache } = await model.run(batch, { capture, logits: "none" });
    for (const l of layers) {
      const { data, shape } = cache.get(capture[l]);
      for (let at = 0; at < data.length; at++)
        if (batch.attentionMask[Math.floor(at / shape[2])]) counts[l][data[at]]++;
    }
  }
  return counts.map((own) => own.map((n) => n / own.reduce((a, b) => a + b)));
}

/** Entropy of shares over that of equal ones. */
function evenness(shares: readonly number[]): number {
  return -shares.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0) / Math.log(shares.length);
}
