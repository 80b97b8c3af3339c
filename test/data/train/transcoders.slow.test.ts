import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { recipe } from "../../../data/train/tiny-gemma3/recipe.js";
import { writeTranscoderCard } from "../../../data/train/transcoders/card.js";
import { type TranscoderOptions, trainTranscoders } from "../../../data/train/transcoders/driver.js";
import { type TranscoderRecipe, transcoderRecipes } from "../../../data/train/transcoders/sets.js";

const folder = mkdtempSync(join(tmpdir(), "modalscope-train-transcoders-"));
after(() => rmSync(folder, { recursive: true }));

const [, usual] = transcoderRecipes(undefined);
const small: TranscoderRecipe = { ...usual, expansion: 1, k: 4, steps: 4, stepTokens: 64 };

const options = (name: string): TranscoderOptions => ({
  model: "tiny-gemma3",
  out: join(folder, name, small.name),
  work: join(folder, `${name}-work`),
  ...{ seed: 1, threads: 1, scale: 1, every: 0, easyVqa: "" },
});

const weights = (name: string): Buffer =>
  Buffer.concat(
    [0, 5, 11].map((l) => readFileSync(join(folder, name, small.name, `layer_${l}.safetensors`))),
  );

/** Stops a training before a step. */
function stopBefore(step: number): AbortSignal {
  let asked = 0;
  const { signal } = new AbortController();
  const act = (): void => {
    if (asked++ === step) throw new Error("stopped");
  };
  Object.defineProperty(signal, "throwIfAborted", { value: act });
  return signal;
}

describe("training the transcoders of a checkpoint", () => {
  before(() => trainTranscoders(recipe, small, options("whole")));

  it("interrupted and gone on with, ends where it would have", async () => {
    const halves = { ...options("halves"), signal: stopBefore(2) };
    await assert.rejects(trainTranscoders(recipe, small, halves), /stopped/);
    await trainTranscoders(recipe, small, options("halves"));
    assert.ok(weights("halves").equals(weights("whole")));
  });

  it("a saved state is refused to another set", async () => {
    const faster = trainTranscoders(recipe, { ...small, rate: 1e-2 }, options("whole"));
    await assert.rejects(faster, /rate was 0.002 and is 0.01 now/);
  });

  it("its card names the checkpoint and what each layer leaves unexplained", () => {
    writeTranscoderCard(join(folder, "whole"), "tiny-gemma3");
    const card = readFileSync(join(folder, "whole/README.md"), "utf8");
    const record = JSON.parse(readFileSync(join(folder, "whole", small.name, "training.json"), "utf8"));
    assert.ok(card.includes(record.checkpoint.slice(0, 12)));
    assert.ok(card.includes(`| 11 | ${record.quality[11].fvu.text.toFixed(3)} |`));
    assert.deepEqual(Object.keys(record.quality[0].fvu).sort(), ["all", "image", "text"]);
  });

  it("an unknown set gets the nearest name", () => {
    assert.throws(() => transcoderRecipes("text-image"), /Did you mean "text-images"/);
  });
});
