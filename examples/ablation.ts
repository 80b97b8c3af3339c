/** Edits: without which block's MLP is the answer lost? */
import { edit, loadModel, logProb, sweep } from "modalscope";

const model = await loadModel("maths-zh-en");
const batch = await model.prepare("What is 9 plus 5?\nThe answer is ");

const { clean, values } = await sweep(model, batch, {
  over: model.layers,
  edit: (layer) => ({ [`blocks.${layer}.hook_mlp_out`]: edit.zero() }),
  metric: logProb(model.tokenize("14")[0]),
});
const drops = Array.from(values.data, (value) => clean[0] - value);
const most = drops.indexOf(Math.max(...drops));
for (const [layer, drop] of drops.entries()) console.log(`block ${layer}: ${drop.toFixed(2)} nats`);

// The same edit while text is generated.
const [intact] = await model.generate(batch, { maxNewTokens: 4 });
const [damaged] = await model.generate(batch, {
  maxNewTokens: 4,
  edits: { [`blocks.${most}.hook_mlp_out`]: edit.zero() },
});
console.log(
  `intact: ${JSON.stringify(intact.text)}, without the MLP of block ${most}: ${JSON.stringify(damaged.text)}`,
);
await model.close();
