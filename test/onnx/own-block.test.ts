import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { it } from "node:test";
import { openCheckpoint, readSafetensors } from "../../lib/model/checkpoint/index.js";
import { familyOf } from "../../lib/model/families/index.js";
import { buildPiece } from "../../lib/model/families/pieces.js";
import { emitOnnx } from "../../lib/model/graph/emit-onnx.js";
import { openOnnx } from "../../lib/onnx/index.js";
import type { Tensor } from "../../lib/tensor.js";
import { deviation, floats, folder, using } from "./fixtures.js";

const checkpointFolder = join(folder, "../families/qwen2-tied");
const goldens = readSafetensors(join(checkpointFolder, "golden.safetensors"));
const golden = (hook: string): Tensor => goldens.get(`single/blocks.1.${hook}`)!;

/** Of float32, against transformers' float32. */
const tolerance = 1e-5;

it("a block that this project's own builder wrote, its weights mapped from the checkpoint", async () => {
  const checkpoint = openCheckpoint(checkpointFolder);
  const family = familyOf(checkpoint.config);
  const config = family.parse(checkpoint.config);
  const { out, hookPoints } = buildPiece(family, config, 1, { withoutPast: true });
  // In this family it is the value of hook_mlp_out: of two names of one value, the second is a copy without effect.
  const named = [...hookPoints].filter(([name]) => name !== "mlp.hook_out");
  const bytes = emitOnnx(
    { ...Object.fromEntries(named), out },
    {
      float: "float32",
      bind: (name) => {
        const { file, offset, byteLength } = checkpoint.weights.get(name)!;
        return { kind: "file", location: basename(file), offset, byteLength };
      },
    },
  );
  checkpoint.close();

  const x = golden("hook_resid_pre");
  const [, time] = x.shape;
  const feeds = { x, mask: causalMask(time), ...angles(time, config.head_dim, 10_000) };
  await using(openOnnx(bytes, { threads: 1, folder: checkpointFolder }), async (model) => {
    const names = [
      "attn.hook_z",
      "attn.hook_pattern",
      "hook_attn_out",
      "hook_resid_mid",
      "mlp.hook_post",
      "hook_mlp_out",
    ];
    const plain = await model.run(feeds, { capture: names, outputs: ["out"] });
    assert.ok(deviation(plain.outputs.out, golden("hook_resid_post")) < tolerance, "resid_post");
    for (const name of names) assert.ok(deviation(plain.captures[name], golden(name)) < tolerance, name);

    const withoutMlp = await model.run(feeds, { edits: { hook_mlp_out: { scale: 0 } } });
    assert.ok(
      deviation(withoutMlp.outputs.out, golden("hook_resid_mid")) < tolerance,
      "no MLP: out is resid_mid",
    );
    const withoutAttention = await model.run(feeds, {
      edits: { "attn.hook_pattern": { scale: 0 } },
    });
    assert.ok(
      deviation(withoutAttention.outputs.hook_resid_mid, x) < tolerance,
      "no attention: resid_mid is x",
    );
  });
});

/** Additive, (1, 1, query, key). */
function causalMask(time: number): Tensor {
  const cells = Array.from({ length: time * time }, (_, i) => (i % time > Math.floor(i / time) ? -3e38 : 0));
  return floats(cells, [1, 1, time, time]);
}

/** Rotary embedding by its formula: position · theta^(−2i/d), the pairs' halves side by side. */
function angles(time: number, width: number, theta: number): { cos: Tensor; sin: Tensor } {
  const angle = (i: number): number =>
    Math.floor(i / width) * theta ** ((-2 * ((i % width) % (width / 2))) / width);
  const table = (f: (x: number) => number): Tensor =>
    floats(
      Array.from({ length: time * width }, (_, i) => f(angle(i))),
      [1, time, width],
    );
  return { cos: table(Math.cos), sin: table(Math.sin) };
}
