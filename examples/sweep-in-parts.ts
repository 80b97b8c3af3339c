/** One sweep shared out among jobs: each runs a part and writes a file, and the files are merged. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { edit, loadModel, logProb } from "modalscope";
import { mergeSweeps, readSweep, saveSweep, sweep } from "modalscope/methods";

const parts = 3;
const folder = mkdtempSync(join(tmpdir(), "sweep-"));
const fileOf = (part: number): string => join(folder, `part-${part}.json`);

// In a job of an array the part is a parameter, or comes from the scheduler: Number(process.env.SLURM_ARRAY_TASK_ID).
for (let part = 0; part < parts; part++) {
  const model = await loadModel("maths-zh-en");
  const batch = await model.prepare("What is 9 plus 5?\nThe answer is ");
  const result = await sweep(model, batch, {
    over: { layer: model.layers, keep: [0, 0.5] },
    edit: ({ layer, keep }) => ({ [`blocks.${layer}.hook_mlp_out`]: edit.scale(keep) }),
    metric: logProb(model.tokenize("14")[0]),
    part: [part, parts],
  });
  await saveSweep(fileOf(part), result);
  await model.close();
}

// Afterwards, without a model: a part that is missing is named.
const files = Array.from({ length: parts }, (_, part) => fileOf(part));
const { values, axes } = mergeSweeps(await Promise.all(files.map(readSweep)));
console.log(`${axes.map(({ name, values: { length } }) => `${length} × ${name}`).join(", ")}`);
console.log(`${values.data.filter(Number.isFinite).length} of ${values.data.length} points are there`);
