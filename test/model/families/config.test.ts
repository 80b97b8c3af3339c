import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { familyOf } from "../../../lib/model/families/index.js";
import { imageProcessor } from "../../../lib/model/images/index.js";
import { activation } from "../../../lib/model/nn/index.js";
import { says } from "../../refusals.js";
import { fixture } from "../goldens.js";

const raw = (variant: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(fixture(variant), "config.json"), "utf8"));
const parse = (config: Record<string, unknown>): unknown => familyOf(config).parse(config);

describe("a config value that cannot be, or that no family here knows, is refused", () => {
  const yarn = { rope_type: "yarn", rope_theta: 1e4, factor: 4 };
  for (const [variant, fields, message] of [
    ["qwen2-tied", { rms_norm_eps: -1e-6 }, /"rms_norm_eps": -0\.000001.*above zero/],
    ["qwen2-tied", { rms_norm_eps: 0 }, /above zero/],
    ["qwen2-tied", { rms_norm_eps: "1e-6" }, /must be a number/],
    ["llama-gqa2", { rope_parameters: { ...yarn, factor: "4" } }, /"factor": "4".*number above zero/],
    ["llama-gqa2", { rope_parameters: { ...yarn, factor: -4 } }, /"factor": -4/],
    ["llama-gqa2", { rope_parameters: { ...yarn, beta_fast: true } }, /"beta_fast": true/],
    ["llama-gqa2", { rope_parameters: { ...yarn, truncate: "no" } }, /"truncate": "no".*true or false/],
    [
      "llama-gqa2",
      { rope_parameters: { rope_type: "linear", rope_theta: 1e4 } },
      /lacks the number "factor"/,
    ],
    ["llama-gqa2", { rope_parameters: { rope_type: "default", rope_theta: 0 } }, /"rope_theta": 0/],
    [
      "llama-gqa2",
      { rope_parameters: { rope_type: "default", rope_theta: 1e4, partial_rotary_factor: 0.5 } },
      /"partial_rotary_factor": 0\.5/,
    ],
    ["llama-gqa2", { partial_rotary_factor: 0.25 }, /"partial_rotary_factor": 0\.25.*only 1/],
    ["gemma3_text-tied", { use_bidirectional_attention: true }, /"use_bidirectional_attention": true/],
    ["gemma3_text-tied", { query_pre_attn_scalar: 0 }, /"query_pre_attn_scalar": 0/],
    ["gemma3_text-tied", { final_logit_softcapping: "30" }, /"final_logit_softcapping": "30"/],
    ["gemma3_text-tied", { final_logit_softcapping: -30 }, /"final_logit_softcapping": -30/],
    ["mistral-full", { is_causal: false }, /"is_causal": false/],
    ["llama-gqa2", { qk_layernorm: true }, /"qk_layernorm": true/],
    ["llama-gqa2", { clip_qkv: 8 }, /"clip_qkv": 8/],
  ] as const) {
    it(`${variant}: ${JSON.stringify(fields)}`, () => {
      parse(raw(variant));
      assert.throws(() => parse({ ...raw(variant), ...fields }), says(message));
    });
  }

  const inherited = ["constructor", "toString", "__proto__", "hasOwnProperty", "valueOf"];
  for (const name of inherited) {
    it(`a name that every object inherits names nothing: ${name}`, () => {
      const moe = { model_type: "qwen3_moe", hidden_act: name };
      const llava = { model_type: "llava", vision_config: { model_type: name } };
      assert.throws(() => familyOf({ model_type: name }), says(/architecture ".*" is not implemented/));
      assert.throws(
        () => familyOf({ model_type: "llava", text_config: { model_type: name } }),
        says(/is not implemented/),
      );
      assert.throws(() => parse(llava), says(/vision tower of the model type/));
      assert.throws(() => parse(moe), says(/asks for the activation/));
      assert.throws(() => activation(name), says(/asks for the activation/));
      const scaled = { ...raw("llama-gqa2"), rope_parameters: { rope_type: name, rope_theta: 1e4 } };
      assert.throws(() => parse(scaled), says(/rotary scaling/));
      assert.throws(() => imageProcessor(name, { config: {} }), says(/text-only/));
    });
  }

  it("and values that say the usual are not", () => {
    parse({ ...raw("gemma3_text-tied"), use_bidirectional_attention: false, final_logit_softcapping: null });
    parse({ ...raw("qwen2-tied"), is_causal: true, partial_rotary_factor: 1, clip_qkv: null });
  });
});
