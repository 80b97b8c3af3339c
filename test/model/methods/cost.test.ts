/** What a study is said to cost, beside what it takes. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { EMBEDDED_MODELS, loadCost, loadModel } from "../../../lib/model/index.js";
import { estimateCost } from "../../../lib/model/methods/index.js";
import { withPlanted } from "./planted-trial.js";

describe("the cost of loading", () => {
  it("is that of the copy that loading makes, and of the memory that it takes", async () => {
    const cache = mkdtempSync(join(tmpdir(), "modalscope cost "));
    try {
      for (const memory of ["1GB", "10MB"]) {
        const cost = loadCost("maths-zh-en", { memory });
        const model = await loadModel("maths-zh-en", { memory, cache, threads: 1 });
        assert.equal(cost.resident, model.resident, memory);
        await model.close();
        const folder = join(cache, "float32");
        const made = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
        assert.ok(cost.disk > 0 && Math.abs(made - cost.disk) < 0.02 * made, `${made}, said ${cost.disk}`);
        rmSync(folder, { recursive: true });
        const file = statSync(join(EMBEDDED_MODELS, "maths-zh-en", "model.safetensors")).size;
        assert.ok(cost.stored < file && cost.stored > 0.98 * file);
      }
      assert.equal(loadCost("maths-zh-en", { cache: false }).disk, 0);
    } finally {
      rmSync(cache, { recursive: true });
    }
  });
});

describe("the cost of a study", () => {
  it("counts the operations of runs, sweeps and generated tokens", async () => {
    await withPlanted("none", async ({ model, batch }) => {
      const work = [
        { name: "run", runs: 3 },
        { name: "sweep", layers: [6, 7] },
        { name: "tokens", runs: 1, newTokens: 2 },
      ];
      const { work: costs, speed, memory, seconds } = await estimateCost(model, { batch, work, batches: 5 });
      const n = batch.seqLength;
      const perToken = 2 * 64 * 64 + 2 * 64 * 32 + 64 * 16 + 2 * 3 * 64 * 16;
      const block = 6 * (n * perToken + 2 * 64 * ((n * (n + 1)) / 2));
      const [runs, sweep, tokens] = costs.map(({ operations }) => operations / 10);
      assert.equal(sweep - runs / 3, 3 * block);
      const head = 64 * model.config.vocab_size;
      assert.equal(tokens - runs / 3, 2 * 6 * (8 * (perToken + 2 * 64 * n) + head));
      // Of the tower: 64 patches of 2 · 3 · 6² values, blocks of 4 · 64² and an MLP of 2 · 64 · 128; four mergers.
      const tower = 64 * (216 * 64 + 4 * (4 * 64 ** 2 + 2 * 64 * 128)) + 4 * 64 ** 2 * 2 * 64;
      const mergers = 4 * 16 * (256 * 256 + 256 * 64);
      assert.equal(runs / 3, 8 * block + 6 * (tower + mergers + head));
      assert.ok(Math.abs(seconds - costs.reduce((sum, c) => sum + c.operations, 0) / speed) < 1e-9 * seconds);
      assert.ok(memory > 0 && costs.every(({ bytesRead }) => bytesRead === 0));
      await assert.rejects(
        estimateCost(model, { batch, work: [{ name: "far", layers: [8] }] }),
        /"far" begins at block 8/,
      );
    });
  });

  it("counts the bytes that a streamed model reads", { skip: process.platform !== "linux" }, async () => {
    const model = await loadModel("maths-zh-en", { memory: "10MB", cache: false, threads: 1 });
    try {
      assert.ok(!model.resident);
      const batch = await model.prepare("What is 9 plus 5?");
      const read = (): number => Number(/^rchar: (\d+)/m.exec(readFileSync("/proc/self/io", "utf8"))![1]);
      const before = read();
      await model.run(batch, { logits: "last" });
      const took = read() - before;
      const { bytesRead } = await estimateCost(model, { batch, work: [{ name: "run", runs: 1 }] });
      // Token embeddings are read too, a row for each.
      assert.ok(Math.abs(took - bytesRead) < 0.01 * took, `${took}, said ${bytesRead}`);
    } finally {
      await model.close();
    }
  });
});
