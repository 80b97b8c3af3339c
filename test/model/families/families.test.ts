import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { familyOf } from "../../../lib/model/families/index.js";
import { ropeFrequencies } from "../../../lib/model/nn/rope.js";
import { fixture, variants } from "../goldens.js";

describe("a config is read the same", () => {
  for (const variant of variants) {
    it(`as transformers 5 writes it and as older releases on the hub have it: ${variant}`, () => {
      const read = (file: string) => {
        const raw = JSON.parse(readFileSync(join(fixture(variant), file), "utf8"));
        return familyOf(raw).parse(raw);
      };
      const [now, before] = [read("config.json"), read("config.hub.json")];
      for (const key of Object.keys(now).filter((k) => k !== "rope_parameters") as (keyof typeof now)[]) {
        assert.deepEqual(before[key], now[key], key);
      }
      // What counts of the rotary parameters is what comes of them.
      for (const type of new Set(now.layer_types)) {
        const frequencies = (c: typeof now) =>
          ropeFrequencies(c.rope_parameters[type], c.head_dim, c.max_position_embeddings);
        assert.deepEqual(frequencies(before), frequencies(now), type);
      }
    });
  }
});
