import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { answered } from "../../../data/train/common/rows.js";
import { routing } from "../../../data/train/tiny-qwen3-vl-moe/routing.js";
import { loadModel } from "../../../lib/model/load.js";
import { charts, drawTasks } from "../../../lib/tasks/index.js";

const EXPERTS = 16;

describe("routing of tiny-qwen3-vl-moe", () => {
  it("is what the two largest of the router's scores say, padding left out", async () => {
    const model = await loadModel("tiny-qwen3-vl-moe", { threads: 1 });
    const tasks = drawTasks(charts, { split: "heldout", count: 6, seed: 2 });
    const { rows } = await routing(model, tasks, EXPERTS);
    // Row by row, so that there is no padding to leave out.
    const scores = "blocks.3.mlp.hook_router_logits";
    const counts = new Array<number>(EXPERTS).fill(0);
    for (const task of tasks) {
      const { cache } = await model.run([answered([task])], { capture: [scores], logits: "none" });
      const { data, shape } = cache.get(scores);
      for (let token = 0; token < shape[1]; token++) {
        const own = Array.from(data.subarray(token * EXPERTS, (token + 1) * EXPERTS), (x, e) => [x, e]);
        for (const [, e] of own.sort(([a], [b]) => b - a).slice(0, 2)) counts[e]++;
      }
    }
    const total = counts.reduce((a, b) => a + b);
    const shares = counts.map((n) => n / total);
    const entropy = -shares.reduce((sum, p) => sum + (p ? p * Math.log2(p) : 0), 0) / Math.log2(EXPERTS);
    const [, evenness, least, largest, used] = rows[3] as [string, number, number, number, number];
    assert.ok(Math.abs(evenness - entropy) < 1e-9);
    assert.deepEqual(
      [least, largest, used],
      [Math.min(...shares), Math.max(...shares), shares.filter(Boolean).length],
    );
    await model.close();
  });
});
