/** Checkpoints, data sets and sweeps that lie elsewhere. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { loadCost, loadModel } from "../../../lib/index.js";
import { mergeSweeps, readSweep, type SweepResult, saveSweep } from "../../../lib/model/methods/index.js";
import { loadGqa } from "../../../lib/tasks/index.js";
import { says } from "../../refusals.js";
import { startServer } from "../../storage/server.js";
import { temporaryFolder } from "./fixtures.js";

const fixtures = fileURLToPath(new URL("../../../../test/fixtures/", import.meta.url));
const server = await startServer();
Object.assign(process.env, server.env, { MODALSCOPE_CACHE: temporaryFolder() });
beforeEach(() => {
  server.objects.clear();
  server.requests.length = 0;
});

/** Puts a folder of the fixtures on the server. */
function put(folder: string, at: string): void {
  for (const entry of readdirSync(join(fixtures, folder), { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    server.objects.set(`${at}${path.slice(join(fixtures, folder).length)}`, readFileSync(path));
  }
}

for (const scheme of ["s3", "http"] as const)
  describe(`loadModel by ${scheme}`, () => {
    const at = (path: string): string => (scheme === "s3" ? `s3://${path}` : `${server.url}/${path}`);
    beforeEach(() => {
      server.plain = scheme === "http";
    });

    it("copies a sharded folder once, without what is not read", async () => {
      put("families/qwen2-sharded", "b/m");
      server.objects.set("b/m/optimizer.pt", Buffer.from("large"));
      const here = await loadModel(join(fixtures, "families/qwen2-sharded"));
      const there = await loadModel(at("b/m"));
      const [a, b] = [here, there].map((model) => model.run(model.batch([[1, 2, 3]]), { logits: "all" }));
      assert.deepEqual((await b).logits?.data, (await a).logits?.data);
      const taken = server.requests.filter((one) => one.startsWith("GET") && !one.endsWith("b"));
      assert.ok(
        taken.some((one) => /model-0*1-of/.test(one)) && !taken.some((one) => one.includes("optimizer")),
      );
      await (await loadModel(at("b/m/"))).close();
      assert.equal(
        server.requests.filter((one) => one.includes("GET b/m/model-")).length,
        taken.filter((one) => one.includes("GET b/m/model-")).length,
      );
      await here.close();
      await there.close();
    });

    it("takes a .gguf file, and says where there is nothing", async () => {
      server.objects.set("b/q.gguf", readFileSync(join(fixtures, "weights/qwen2.gguf")));
      const model = await loadModel(at("b/q.gguf"));
      assert.ok(model.layers.length > 0);
      await model.close();
      await assert.rejects(loadModel(at("b/none")), says(/There is nothing there/));
      assert.throws(() => loadCost(at("b/none")), says(/is not on this machine.*localCopy/));
    });
  });

it("a data set's folder is copied with all that is in it", async () => {
  server.plain = false;
  put("tasks/datasets/gqa", "b/gqa");
  const options = { split: "val" };
  const tasks = await loadGqa("s3://b/gqa", options);
  const here = await loadGqa(join(fixtures, "tasks/datasets/gqa"), options);
  assert.ok(here.length > 0);
  assert.deepEqual(
    tasks.map(({ id, prompt }) => [id, prompt]),
    here.map(({ id, prompt }) => [id, prompt]),
  );
});

it("parts of a sweep are saved, read and merged", async () => {
  const part = (index: number): SweepResult => ({
    values: { data: Float64Array.of(...[0, 1].map((i) => (i === index ? i : Number.NaN))), shape: [2, 1] },
    axes: [{ name: "layer", values: [0, 1] }],
    clean: Float64Array.of(0.5),
    part: [index, 2],
  });
  for (const index of [0, 1]) await saveSweep(`s3://b/part-${index}.json`, part(index));
  const parts = await Promise.all([1, 0].map((index) => readSweep(`s3://b/part-${index}.json`)));
  assert.deepEqual([...mergeSweeps(parts).values.data], [0, 1]);
});
