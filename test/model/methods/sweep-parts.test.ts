import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as edit from "../../../lib/model/edits/edit.js";
import { logProb } from "../../../lib/model/methods/metrics.js";
import { type SweepResult, sweep } from "../../../lib/model/methods/sweep.js";
import { mergeSweeps, readSweep, saveSweep } from "../../../lib/model/methods/sweep-merge.js";
import type { Part } from "../../../lib/model/methods/sweep-part.js";
import type { Model } from "../../../lib/model/model.js";
import { says } from "../../refusals.js";
import { temporaryFolder } from "../checkpoint/fixtures.js";
import { open } from "../goldens.js";

describe("a sweep in parts", () => {
  let model: Model;
  before(async () => {
    model = await open("qwen2-tied");
  });
  after(() => model.close());

  const run = (part?: Part, prompt = [1, 2, 3, 4, 5]): Promise<SweepResult> =>
    sweep(model, model.batch([prompt]), {
      over: { layer: model.layers, position: [0, 2, 4] },
      edit: ({ layer, position }) => ({
        [`blocks.${layer}.hook_resid_pre`]: edit.scale(0.5, { positions: [position] }),
      }),
      metric: logProb(7),
      part,
    });
  const folder = temporaryFolder();

  for (const count of [1, 2, 5, 100])
    it(`of ${count}, saved, read and merged in another order, is the whole`, async () => {
      const whole = await run();
      const files: string[] = [];
      for (let i = 0; i < count; i++) {
        const file = join(folder, `${count}-${i}.json`);
        const result = await run([i, count]);
        result.values.data.forEach((value, point) => {
          assert.equal(Number.isNaN(value), point % count !== i, `point ${point} in part ${i}`);
        });
        await saveSweep(file, result);
        files.unshift(file);
      }
      const { values, axes, clean, part } = mergeSweeps(await Promise.all(files.map(readSweep)));
      assert.deepEqual([axes, part, values.shape], [whole.axes, [0, 1], whole.values.shape]);
      const size = Math.max(...whole.values.data.map(Math.abs));
      whole.values.data.forEach((value, i) => {
        assert.ok(Math.abs(values.data[i] - value) <= 1e-5 * size, `${i}: ${values.data[i]} for ${value}`);
      });
      assert.ok(Math.abs(clean[0] - whole.clean[0]) <= 1e-5 * Math.abs(whole.clean[0]));
    });

  it("says which parts are missing, there twice, or of another sweep", async () => {
    const parts = [await run([0, 3]), await run([1, 3]), await run([2, 3])];
    assert.throws(() => mergeSweeps([]), says(/no sweeps to merge/));
    assert.throws(
      () => mergeSweeps(parts.slice(1, 2)),
      says(/2 of the 3 parts of the sweep are missing: 0, 2\./),
    );
    assert.throws(() => mergeSweeps([...parts, parts[1]]), says(/Part 1 of the sweep is there twice/));
    const half = await run([1, 2]);
    assert.throws(() => mergeSweeps([parts[0], half]), says(/in their number: 2 parts, and 3/));
    const other = await run([1, 3], [5, 4, 3, 2, 9]);
    assert.throws(
      () => mergeSweeps([parts[0], other, parts[2]]),
      says(/Part 1 .* differs from part 0 without any edit/),
    );
    const axes = [{ name: "layer", values: [0] }];
    assert.throws(() => mergeSweeps([parts[0], { ...parts[1], axes }]), says(/in its grid/));
  });

  it("refuses a part that is none", async () => {
    for (const part of [[2, 2], [-1, 2], [0], [0.5, 2], [0, 0], "0/2"])
      await assert.rejects(
        run(part as unknown as Part),
        says(/option part of sweep .* must be \[index, count\]/i),
      );
  });

  it("keeps values that are not finite in its file", async () => {
    const data = Float64Array.of(-1.5, Number.NEGATIVE_INFINITY, Number.NaN, Number.POSITIVE_INFINITY);
    const result: SweepResult = {
      values: { data, shape: [4, 1] },
      axes: [{ name: "point", values: [1, "two", { three: 3 }, null] }],
      clean: Float64Array.of(Number.NaN),
      part: [0, 1],
    };
    const file = join(folder, "odd.json");
    await saveSweep(file, result);
    assert.deepEqual(await readSweep(file), result);
    const point = { name: "point", values: [1, 2, 3, () => 4] };
    await assert.rejects(saveSweep(file, { ...result, axes: [point] }), says(/not plain JSON/));
  });

  it("refuses a file that is not a sweep's", async () => {
    const file = join(folder, "bad.json");
    const sound = {
      axes: [{ name: "point", values: [1, 2] }],
      part: [0, 1],
      shape: [2, 1],
      values: [1, 2],
      clean: [0],
    };
    for (const change of [
      { values: [1] },
      { values: [1, "many"] },
      { part: [1, 1] },
      { shape: [1, 2] },
      { axes: [{ name: "point" }] },
      { axes: null },
      { clean: 3 },
    ]) {
      writeFileSync(file, JSON.stringify({ ...sound, ...change }));
      await assert.rejects(readSweep(file), says(/bad\.json is not a sweep/), JSON.stringify(change));
    }
    writeFileSync(file, '{"axes": [');
    await assert.rejects(readSweep(file), says(/not valid JSON/));
  });
});
