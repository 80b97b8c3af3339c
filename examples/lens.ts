/** The logit lens: what the language head reads off the stream after each block. */
import { loadModel, unembedding } from "modalscope";
import { logitLens } from "modalscope/analysis";

const model = await loadModel("maths-zh-en");
const batch = await model.prepare("What is 9 plus 5?\nThe answer is ");

const { cache, logits } = await model.run(batch, {
  capture: [{ hook: "blocks.*.hook_resid_post", positions: "last" }],
  logits: "last",
});
// Of each block (1, 1, hidden) → (rows, hidden).
const residuals = model.layers.map((layer) => {
  const { data, shape } = cache.get(`blocks.${layer}.hook_resid_post`);
  return { data, shape: [1, shape.at(-1)!] };
});
const argmax = (values: ArrayLike<number>) =>
  Array.from(values).reduce((best, x, i, all) => (x > all[best] ? i : best), 0);

const readings = (await logitLens(residuals, unembedding(model))).map(({ data }) => argmax(data));
for (const [layer, token] of readings.entries())
  console.log(`after block ${layer}: ${JSON.stringify(model.decode([token]))}`);
console.log(`the model: ${JSON.stringify(model.decode([argmax(logits!.data)]))}`);
await model.close();
