/** Configs as transformers' own config classes read them: goldens of test/fixtures/configs. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ModalscopeError } from "../../../lib/errors.js";
import type { RawConfig } from "../../../lib/model/families/fields.js";
import { familyOf, type TextConfig, type VisionConfig } from "../../../lib/model/families/index.js";
import { ropeFrequencies } from "../../../lib/model/nn/index.js";
import { packageRoot } from "../../../lib/package-root.js";

type Fields = Readonly<Record<string, unknown>>;

interface Golden {
  readonly base: RawConfig;
  /** Fields that transformers reads from the base, and from a config of hardly more than a model type. */
  readonly expected: Fields;
  readonly least_config: RawConfig;
  readonly least: Fields;
  /** Changed fields of the base (without a value: left out), and what transformers then reads differently. */
  readonly mutations: readonly {
    readonly changes: readonly (readonly [path: string, value?: unknown])[];
    readonly reads?: Fields;
    readonly refused?: string;
  }[];
}

const folder = join(packageRoot(), "test/fixtures/configs");
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => file.slice(0, -5));

for (const name of names) {
  const golden: Golden = JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8"));

  describe(`${name}: a config is read as transformers reads it`, () => {
    it("with every field", () => compare(golden.base, golden.expected));
    it("with none but those without a default", () => compare(golden.least_config, golden.least));
    assert.equal(golden.mutations.length, 50);
    for (const { changes, reads, refused } of golden.mutations) {
      const config = mutated(golden.base, changes);
      const what = JSON.stringify(changes);
      if (refused === undefined) it(`with ${what}`, () => compare(config, { ...golden.expected, ...reads }));
      else it(`and refused with ${what}`, () => assert.throws(() => read(config), ModalscopeError));
    }
  });
}

function mutated(base: RawConfig, changes: Golden["mutations"][number]["changes"]): RawConfig {
  const config = structuredClone(base) as Record<string, unknown>;
  for (const [path, ...value] of changes) {
    const keys = path.split(".");
    const last = keys.pop()!;
    const part = keys.reduce((at, key) => (at[key] ?? {}) as Record<string, unknown>, config);
    if (value.length === 0) delete part[last];
    else part[last] = value[0];
  }
  return config;
}

/** Field by field; null and absent mean the same in a golden. Angles to the rounding of float32. */
function compare(config: RawConfig, expected: Fields): void {
  const found = read(config);
  for (const key of new Set([...Object.keys(found), ...Object.keys(expected)])) {
    const [ours, theirs] = [found[key] ?? null, expected[key] ?? null];
    if (key.endsWith(".inverse") || key.endsWith(".scale")) assertClose(ours, theirs, key);
    else assert.deepEqual(ours, theirs, key);
  }
}

function assertClose(ours: unknown, theirs: unknown, key: string): void {
  const [a, b] = [ours, theirs].map((x) => [x].flat() as number[]);
  assert.equal(a.length, b.length, key);
  a.forEach((x, i) => {
    assert.ok(Math.abs(x - b[i]) <= 3e-7 * Math.abs(b[i]), `${key}: ${x}, and in transformers ${b[i]}`);
  });
}

/** The parsed fields, under the names of the goldens. */
function read(raw: RawConfig): Fields {
  const config = familyOf(raw).parse(raw);
  return {
    ...textFields(config, raw),
    ...(config.vision_config && visionFields(config.vision_config)),
  };
}

function textFields(config: TextConfig, raw: RawConfig): Fields {
  const { model_type: _, layer_types, rope_parameters, vision_config, ...same } = config;
  const { experts, ...rest } = same as typeof same & { experts?: Experts[] };
  // GPT-2 has no rotary angles, and names its ε otherwise.
  const isGpt2 = textType(raw) === "gpt2";
  const rope = [...new Set(isGpt2 ? [] : layer_types)].flatMap((type) => {
    const parameters = rope_parameters[type];
    const { inverse, scale } = ropeFrequencies(parameters, config.head_dim, config.max_position_embeddings);
    return [
      [`${type}.rope_type`, parameters.rope_type],
      [
        `${type}.inverse`,
        [1, inverse.length >> 1, inverse.length].map((i) => inverse[Math.min(i, inverse.length - 1)]),
      ],
      [`${type}.scale`, scale],
      [`${type}.mrope_section`, parameters.mrope_section],
    ];
  });
  // Mistral is read as a Llama without biases.
  if (textType(raw) === "mistral") {
    const { attention_bias, mlp_bias } = rest as Fields;
    assert.deepEqual([attention_bias, mlp_bias], [false, false]);
  }
  const biases = textType(raw) === "mistral" ? { attention_bias: null, mlp_bias: null } : {};
  return {
    ...rest,
    ...biases,
    ...(isGpt2 && { rms_norm_eps: null }),
    ...Object.fromEntries(rope),
    layer_types: layer_types.map((type) => type[0]).join(""),
    ...(experts && expertFields(experts)),
  };
}

type Experts = { count: number; topK: number; expertDim: number; normalised: boolean } | undefined;

function expertFields(experts: readonly Experts[]): Fields {
  const one = experts.find((e) => e !== undefined);
  if (!one) return { sparse: "" };
  return {
    sparse: experts.map((e) => (e ? "s" : "d")).join(""),
    num_experts: one.count,
    num_experts_per_tok: one.topK,
    moe_intermediate_size: one.expertDim,
    norm_topk_prob: one.normalised,
  };
}

function textType(raw: RawConfig): unknown {
  const text = raw.text_config as RawConfig | null | undefined;
  return (text ?? raw).model_type;
}

function visionFields(vision: VisionConfig): Fields {
  const isQwen = vision.model_type === "qwen3_vl_vision";
  const isLlava = "projector_hidden_act" in vision;
  const { projector_hidden_act, multimodal_projector_bias } = vision as VisionConfig & Fields;
  const fields = {
    hidden_size: vision.hidden_size,
    intermediate_size: vision.intermediate_size,
    num_hidden_layers: vision.num_hidden_layers,
    num_attention_heads: vision.num_attention_heads,
    head_dim: vision.head_dim,
    hidden_act: vision.hidden_act,
    layer_norm_eps: isQwen ? null : vision.layer_norm_eps,
    patch_size: vision.patch_size,
    patch_dim: vision.patchDim,
    num_positions: vision.numPositions,
    class_tokens: isQwen ? null : vision.classTokens,
    spatial_merge_size: isLlava ? null : vision.spatialMergeSize,
    out_hidden_size: isQwen ? vision.out_hidden_size : null,
    image_token_id: vision.image_token_id,
    projector_hidden_act,
    multimodal_projector_bias,
    skipped_tokens: isLlava ? vision.skippedTokens : null,
    read: isLlava ? vision.readouts[0].fromLayers : null,
    deepstack: isQwen ? vision.readouts.slice(1).flatMap(({ fromLayers }) => [fromLayers].flat()) : null,
  };
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [`vision.${key}`, value]));
}
