/** Weights that hold NaN or infinity, by the error that their first run ends with. */
import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { EMBEDDED_MODELS, edit, loadModel, logProb, type Model, sweep } from "../../../lib/model/index.js";
import { temporaryFolder } from "../../kernels/temporary.js";

const folder = temporaryFolder();

/** The bytes of a value in a file. */
const BYTES = {
  F32: { NaN: [0, 0, 0xc0, 0x7f], Infinity: [0, 0, 0x80, 0x7f], "-Infinity": [0, 0, 0x80, 0xff] },
  BF16: { NaN: [0xc0, 0x7f], Infinity: [0x80, 0x7f], "-Infinity": [0x80, 0xff] },
  F16: { NaN: [0, 0x7e], Infinity: [0, 0x7c], "-Infinity": [0, 0xfc] },
} as const;
type Dtype = keyof typeof BYTES;
type Value = keyof (typeof BYTES)[Dtype];

/** An embedded checkpoint with one number of a weight overwritten in its file. */
function damaged(name: string, weight: string, element: number, value: Value): string {
  const path = join(folder, `${name}-${weight}-${element}-${value}`);
  cpSync(join(EMBEDDED_MODELS, name), path, { recursive: true });
  const file = join(path, "model.safetensors");
  const bytes = readFileSync(file);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, start)) as Record<
    string,
    { dtype: Dtype; data_offsets: [number, number] }
  >;
  const { dtype, data_offsets } = header[weight];
  const own = BYTES[dtype][value];
  Buffer.from(own).copy(bytes, start + data_offsets[0] + element * own.length);
  writeFileSync(file, bytes);
  return path;
}

async function withModel(path: string, work: (model: Model) => Promise<void>): Promise<void> {
  const model = await loadModel(path, { cache: join(folder, "cache") });
  try {
    await work(model);
  } finally {
    await model.close();
  }
}

const prompt = "What is 9 plus 5?\nThe answer is ";

describe("a weight that holds NaN or infinity", () => {
  const weights: readonly [weight: string, element: number, value: Value, where: RegExp][] = [
    [
      "model.layers.3.mlp.down_proj.weight",
      5000,
      "NaN",
      /NaN\) at \[\d+, \d+\].*"blocks\.3\.hook_resid_post"/,
    ],
    ["model.layers.0.self_attn.q_proj.weight", 7, "Infinity", /Infinity\) at \[0, 7\].*"blocks\.0\./],
    ["model.layers.15.self_attn.k_proj.bias", 2, "NaN", /NaN\) at \[2\].*"blocks\.15\./],
    ["model.layers.7.input_layernorm.weight", 0, "-Infinity", /-Infinity\) at \[0\].*"blocks\.7\./],
    ["model.norm.weight", 1, "NaN", /in the logits/],
    ["lm_head.weight", 700 * 128 + 3, "Infinity", /at \[700, 3\].*in the logits/],
  ];
  for (const [weight, element, value, where] of weights) {
    it(`${weight}: ${value} is named by runs, generations and sweeps`, () =>
      withModel(damaged("maths-zh-en", weight, element, value), async (model) => {
        const named = (error: Error): boolean => {
          assert.equal(error.name, "ModalscopeError", String(error));
          assert.ok(error.message.includes(`"${weight}" holds 1 value`), error.message);
          assert.match(error.message, where);
          return true;
        };
        const batch = await model.prepare(prompt);
        await assert.rejects(model.run(batch, { logits: "last" }), named);
        await assert.rejects(model.generate(batch, { maxNewTokens: 2 }), named);
        const metric = logProb(3);
        const points = { over: [3], edit: () => ({ "blocks.3.hook_mlp_out": edit.zero() }), metric };
        await assert.rejects(sweep(model, batch, points), named);
      }));
  }

  it("an embedding is named where its token is read, and not before", () => {
    const token = 40;
    return withModel(
      damaged("maths-zh-en", "model.embed_tokens.weight", token * 128 + 9, "NaN"),
      async (model) => {
        const { logits } = await model.run(model.batch([[token + 1, 2]]));
        assert.ok(logits?.data.every(Number.isFinite));
        const read = model.run(model.batch([[token + 1], [token]]), { stopAtLayer: 0 });
        await assert.rejects(read, /embed_tokens\.weight" holds 1 value.*at \[40, 9\].*row 1, position 0/);
      },
    );
  });

  it("of the tower is named at the first block of the language model", () => {
    const weight = "vision_tower.encoder.layers.0.mlp.fc1.weight";
    return withModel(damaged("tiny-llava-1.5", weight, 11, "NaN"), async (model) => {
      const image = { data: new Uint8Array(3 * 64 * 64), width: 64, height: 64 };
      const batch = await model.prepare([
        [
          {
            role: "user",
            content: [
              { type: "image", image },
              { type: "text", text: "What is this?" },
            ],
          },
        ],
      ]);
      await assert.rejects(model.run(batch), /fc1\.weight" holds 1 value/);
    });
  });
});

it("where no weight is to blame, a run goes on, and its edits are named in one warning", async () => {
  const model = await loadModel("maths-zh-en");
  const warnings: string[] = [];
  const listen = ({ name, message }: Error): void => {
    if (name === "ModalscopeWarning") warnings.push(message);
  };
  process.on("warning", listen);
  const hook = "blocks.4.hook_mlp_out";
  const huge = { [hook]: edit.scale(Number.POSITIVE_INFINITY, { positions: "last" }) };
  for (let run = 0; run < 3; run++) {
    const { logits } = await model.run(prompt, { edits: huge, logits: "last" });
    assert.ok(logits?.data.some(Number.isNaN));
  }
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", listen);
  assert.equal(warnings.length, 1, warnings.join("\n"));
  assert.match(
    warnings[0],
    /"blocks\.4\.hook_resid_post" at row 0, position \d+.*edits \(blocks\.4\.hook_mlp_out\)/,
  );
  await model.close();
});
