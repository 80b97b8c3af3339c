/** Captures: which tokens of the prompt the last one attends to, in every head of every block. */
import { heatmap, loadModel, save } from "modalscope";

const model = await loadModel("maths-zh-en");
const batch = await model.prepare("What is 9 plus 5?\nThe answer is ");

const { cache } = await model.run(batch, {
  capture: [{ hook: "blocks.*.attn.hook_pattern", positions: "last" }],
});
const patterns = model.layers.map((layer) => cache.get(`blocks.${layer}.attn.hook_pattern`));
console.log(patterns[0].shape); // (batch, heads, query, key)

// One row for each head: (blocks × heads, keys).
const [, heads, , keys] = patterns[0].shape;
const rows = patterns.flatMap(({ data }) =>
  Array.from({ length: heads }, (_, h) => data.subarray(h * keys, (h + 1) * keys)),
);
for (const row of rows) {
  const sum = row.reduce((a, b) => a + b, 0);
  if (Math.abs(sum - 1) > 1e-5) throw new Error(`attention sums to ${sum}`);
}
save(
  heatmap(rows, {
    title: "Attention of the last token",
    columns: batch.tokenPositions[0].map((p) => `${p} ${JSON.stringify(model.decode([batch.inputIds[p]]))}`),
    rows: model.layers.flatMap((layer) => Array.from({ length: heads }, (_, h) => `${layer}.${h}`)),
    y: "block.head",
    value: "attention",
  }),
  "attention.png",
);
console.log(`${rows.length} heads in attention.png`);
await model.close();
