import assert from "node:assert/strict";
import { join } from "node:path";
import { it } from "node:test";
import { temporaryFolder } from "../kernels/temporary.js";
import { executed, shipped, shown } from "./executed.js";

for (const model of ["tiny-llava-1.5", "tiny-llava-1.6"])
  it(`05-knowledge-evolution runs on ${model} with every checkpoint, and nothing is supported on a null`, async () => {
    const output = join(temporaryFolder(), `${model}.ipynb`);
    const sizes = { captionCount: 24, answerCount: 8, plantedCount: 16 };
    const parameters = { seeds: [0], model, checkpoints: [], ...sizes };
    const done = await executed(shipped("05-knowledge-evolution"), output, parameters);
    assert.match(shown(done, "answer"), /Of 18 claims/);
    assert.match(shown(done, "mutations"), /mutation layers/);
  });
