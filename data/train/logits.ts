/**
 * Writes what the engine computes of one question about one image, for `check.py`:
 * `node dist/data/train/logits.js FOLDER IMAGE QUESTION`.
 */
import { loadModel } from "../../lib/model/load.js";

const [folder, image, text] = process.argv.slice(2);
const model = await loadModel(folder, { threads: 1 });
const sees = model.config.vision_config !== undefined;
const question = { type: "text" as const, text };
const batch = await model.prepare([
  [{ role: "user", content: sees ? [{ type: "image", image }, question] : [question] }],
]);
const { logits } = await model.run(batch);
console.log(
  JSON.stringify({ ids: Array.from(batch.inputIds), shape: logits!.shape, logits: Array.from(logits!.data) }),
);
await model.close();
