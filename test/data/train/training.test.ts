import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { PreTrainedTokenizer } from "@huggingface/transformers";
import { batchesOf } from "../../../data/train/common/buckets.js";
import { GEMMA, LLAVA, QWEN } from "../../../data/train/common/chat-templates.js";
import { conversations } from "../../../data/train/common/conversations.js";
import { trainRecipe } from "../../../data/train/common/driver.js";
import { evaluate } from "../../../data/train/common/evaluate.js";
import { residualScale } from "../../../data/train/common/initial.js";
import { labelWords } from "../../../data/train/common/labels.js";
import { clipConfig, llavaConfig, PATCH, SIZE } from "../../../data/train/common/llava.js";
import { llavaFiles } from "../../../data/train/common/processors.js";
import type { Conversation, Labels, Recipe } from "../../../data/train/common/recipe.js";
import { conversationBatch } from "../../../data/train/common/rows.js";
import { conversationTexts } from "../../../data/train/common/texts.js";
import { wordTokenizer } from "../../../data/train/common/words.js";
import { readSafetensors } from "../../../lib/model/checkpoint/index.js";
import { loadModel } from "../../../lib/model/load.js";
import { drawTasks, type SyntheticTask, scenes } from "../../../lib/tasks/index.js";

const folder = mkdtempSync(join(tmpdir(), "modalscope-training-"));
after(() => rmSync(folder, { recursive: true }));

/** Texts of the task's conversations, by seed: drawing them takes longer than four steps. */
const texts = new Map<number, string[]>();
function sceneTexts(seed: number): string[] {
  const known = texts.get(seed) ?? conversationTexts([scenes as SyntheticTask<unknown>], seed, " ");
  texts.set(seed, known);
  return known;
}

/** A recipe of four steps on a model of one block. */
const small: Recipe = {
  name: "small",
  description: "For a test.",
  seed: 1,
  languages: ["en"],
  tokenizer: async ({ seed }) => wordTokenizer(LLAVA, ["USER: ", "\n ASSISTANT:", ...sceneTexts(seed)]),
  initialize: residualScale,
  config(vocabulary, id) {
    const whole = llavaConfig(vocabulary, id);
    const one = { hidden_size: 16, num_attention_heads: 4, intermediate_size: 24, num_hidden_layers: 1 };
    return {
      model_type: "llava",
      ...whole,
      text_config: { ...(whole.text_config as object), ...one, num_key_value_heads: 4, head_dim: 4 },
      vision_config: { ...clipConfig(SIZE), ...one },
    };
  },
  files: llavaFiles(SIZE, PATCH),
  stages: () => [
    {
      name: "all",
      part: "whole",
      steps: 4,
      rows: 4,
      rate: 1e-2,
      sources: async (random) => [{ share: 1, draw: conversations(scenes, random, { size: SIZE }) }],
    },
  ],
  trials: async () => [],
};

/** All of the tower but the norm that LLaVA leaves out, and what reads it. */
const TOWER = /vision_tower\.(?!.*post_layernorm)|multi_modal_projector\./;

const labels: Labels = {
  words: labelWords([scenes as SyntheticTask<unknown>], SIZE, 1),
  coefficient: 0.1,
};

/** Another learning rate than the saved state was trained with. */
const hastier: Recipe = {
  ...small,
  stages: (o) => small.stages(o).map((stage) => ({ ...stage, rate: 2e-2 })),
};

const options = (name: string): Parameters<typeof trainRecipe>[1] => ({
  out: join(folder, name),
  work: join(folder, `${name}-work`),
  seed: 1,
  threads: 1,
  scale: 1,
  every: 0,
  easyVqa: "",
});

const weights = (name: string): Buffer => readFileSync(join(folder, name, "model.safetensors"));

/** Does something before each step of a training. */
function beforeSteps(act: (step: number) => void): AbortSignal {
  let asked = 0;
  const { signal } = new AbortController();
  Object.defineProperty(signal, "throwIfAborted", { value: () => act(asked++) });
  return signal;
}

/** Stops a training before a step. */
const stopBefore = (step: number): AbortSignal =>
  beforeSteps((now) => {
    if (now === step) throw new Error("stopped");
  });

describe("training a recipe", () => {
  before(() => trainRecipe(small, options("whole")));

  it("gives the same weights for the same seed, and others for another", async () => {
    await trainRecipe(small, options("again"));
    assert.ok(weights("again").equals(weights("whole")));
    await trainRecipe(small, { ...options("other"), seed: 2 });
    assert.ok(!weights("other").equals(weights("whole")));
  });

  it("interrupted and gone on with, ends where it would have", async () => {
    await assert.rejects(trainRecipe(small, { ...options("halves"), signal: stopBefore(2) }), /stopped/);
    await trainRecipe(small, options("halves"));
    assert.ok(weights("halves").equals(weights("whole")));
  });

  it("refuses to go on with what another recipe has saved, and says what differs", async () => {
    await assert.rejects(trainRecipe(small, { ...options("mixed"), signal: stopBefore(2) }), /stopped/);
    const state = join(folder, "mixed-work", "state.safetensors");
    const before = readFileSync(state);
    await assert.rejects(trainRecipe(hastier, options("mixed")), {
      name: "ModalscopeError",
      message: /of another recipe. stages.0.rate was 0.01 and is 0.02 now/,
    });
    await assert.rejects(trainRecipe(small, { ...options("mixed"), seed: 2 }), /seed was 1 and is 2 now/);
    assert.ok(readFileSync(state).equals(before));
    await trainRecipe(small, options("mixed"));
    assert.ok(weights("mixed").equals(weights("whole")));
  });

  it("goes on from the last whole save when it is killed while saving", async () => {
    await assert.rejects(trainRecipe(small, { ...options("killed"), signal: stopBefore(3) }), /stopped/);
    const work = join(folder, "killed-work");
    const half = join(work, "state.safetensors.123-abcdef01.tmp");
    writeFileSync(half, readFileSync(join(work, "state.safetensors")).subarray(0, 1000));
    await trainRecipe(small, options("killed"));
    assert.ok(!existsSync(half));
    assert.ok(weights("killed").equals(weights("whole")));
  });

  it("says that a save failed, keeps the one of before, and ends where it would have", async (t) => {
    const said = t.mock.method(console, "error", () => undefined);
    const state = join(folder, "unsaved-work", "state.safetensors");
    // A folder in its place is refused as a full disk is: when the file is to appear.
    const signal = beforeSteps((step) => {
      if (step === 1) {
        renameSync(state, `${state}.kept`);
        mkdirSync(join(state, "in the way"), { recursive: true });
      } else if (step === 3) {
        rmSync(state, { recursive: true });
        renameSync(`${state}.kept`, state);
      }
    });
    await trainRecipe(small, { ...options("unsaved"), signal });
    assert.equal(said.mock.callCount(), 2);
    assert.match(String(said.mock.calls[0].arguments[0]), /save of before is kept, and training goes on/);
    assert.ok(weights("unsaved").equals(weights("whole")));
  });

  it("leaves the checkpoint of before in its place until all is done", async () => {
    await trainRecipe(small, options("kept"));
    const before = weights("kept");
    const longer = { ...options("kept"), work: join(folder, "longer-work"), scale: 2 };
    await assert.rejects(trainRecipe(small, { ...longer, signal: stopBefore(6) }), /stopped/);
    assert.ok(weights("kept").equals(before));
    await trainRecipe(small, longer);
    assert.ok(!weights("kept").equals(before));
  });

  it("of a tower changes the tower alone", async () => {
    const towerOnly: Recipe = {
      ...small,
      stages: (o) => small.stages(o).map((stage) => ({ ...stage, part: "tower", labels })),
    };
    await trainRecipe(towerOnly, options("tower"));
    await trainRecipe(towerOnly, { ...options("less"), scale: 0.5 });
    const [more, less] = ["tower", "less"].map((name) =>
      readSafetensors(join(folder, name, "model.safetensors")),
    );
    for (const [name, { data }] of more)
      assert.equal(isDeepStrictEqual(data, less.get(name)!.data), !TOWER.test(name), name);
  });

  it("counts the answer of every turn and the end token after it", async () => {
    const model = await loadModel(join(folder, "whole"), { threads: 1 });
    const rows = (await batchesOf(small.stages(options(""))[0], 1, 4)(0)) as Conversation[];
    assert.ok(rows.some((turns) => turns.length > 1));
    const { batch, targets, lossWeights: counts } = await conversationBatch(model, rows);
    rows.forEach((turns, row) => {
      const seen = new Set(batch.visual[row].map((column) => row * batch.seqLength + column));
      const cells = [...counts.keys()].filter(
        (i) => Math.floor(i / batch.seqLength) === row && counts[i] > 0 && !seen.has(i),
      );
      const said = model.tokenizer!.decode(cells.map((i) => targets[i]));
      assert.equal(said.trim(), turns.map(({ answers }) => `${answers[0]}</s>`).join(" "));
      assert.equal(batch.visual[row].length, (SIZE / PATCH) ** 2);
    });
    await model.close();
  });

  it("labels visual tokens with all words of what lies there", async () => {
    const model = await loadModel(join(folder, "whole"), { threads: 1 });
    const [task] = drawTasks(scenes, { split: "train", count: 1, size: SIZE });
    // A cell is two patches wide: the first of the top, and the last of the bottom.
    const annotation: typeof task.annotation = {
      background: 0,
      objects: [
        { shape: "circle", colour: "red", row: 0, column: 0, nudge: [0, 0] },
        { shape: "star", colour: "blue", row: 2, column: 2, nudge: [0, 0] },
      ],
    };
    const shown = { ...task, images: [scenes.render(annotation, SIZE)], annotation };
    const told = { ...shown, images: [], textDescription: "nothing" };
    const { labels: found } = await conversationBatch(model, [[told], [shown]], labels);
    assert.equal(found!.length, 1, "one image");
    const named = found![0]!.map((own) => own.map((word) => labels.words[word]).join(" "));
    const rows = Array.from({ length: 6 }, (_, row) => named.slice(6 * row, 6 * row + 6));
    const [circle, star] = ["circle red top left", "star blue bottom right"];
    assert.deepEqual(rows, [
      [circle, circle, "", "", "", ""],
      [circle, circle, "", "", "", ""],
      ["", "", "", "", "", ""],
      ["", "", "", "", "", ""],
      ["", "", "", "", star, star],
      ["", "", "", "", star, star],
    ]);
    await model.close();
  });

  it("trains answers and labels together, and saves no weights of labels", async () => {
    const both: Recipe = { ...small, stages: (o) => small.stages(o).map((stage) => ({ ...stage, labels })) };
    await trainRecipe(both, options("both"));
    const names = [...readSafetensors(join(folder, "both", "model.safetensors")).keys()];
    assert.deepEqual(names, [...readSafetensors(join(folder, "whole", "model.safetensors")).keys()]);
    assert.ok(!weights("both").equals(weights("whole")));
  });

  it("is measured with and without images", async () => {
    const model = await loadModel(join(folder, "whole"), { threads: 1 });
    const tasks = drawTasks(scenes, { split: "heldout", count: 14, size: SIZE, seed: 3 });
    const { accuracy } = await evaluate(model, { name: "scenes", tasks });
    assert.deepEqual(
      accuracy.map(({ type }) => type),
      [...Object.keys(scenes.types), "all"],
    );
    assert.equal(accuracy[accuracy.length - 1].seen.n, 14);
    assert.equal(accuracy[accuracy.length - 1].blind.n, 14);
    await model.close();
  });
});

describe("word tokenizers", () => {
  const texts = [
    "\nwhat color is the 12 th star?",
    " a red star, and a blue one.",
    "user\n",
    "a red star, and a blue one.",
  ];
  for (const [name, frame] of Object.entries({ LLAVA, GEMMA, QWEN })) {
    it(`of ${name}: a word is a token, and text comes back as it was`, () => {
      const files = wordTokenizer(frame, texts);
      const tokenizer = new PreTrainedTokenizer(files.tokenizer, files.tokenizerConfig);
      const text = "a red star, and a blue one.";
      const ids = tokenizer.encode(text, { add_special_tokens: false });
      assert.equal(ids.length, 8 + 1);
      assert.equal(tokenizer.decode(ids), text);
      const [end] = tokenizer.encode(frame.end, { add_special_tokens: false });
      assert.equal(end, files.id(frame.end));
    });

    it(`of ${name}: a word that was never seen falls into letters`, () => {
      const files = wordTokenizer(frame, texts);
      const tokenizer = new PreTrainedTokenizer(files.tokenizer, files.tokenizerConfig);
      const ids = tokenizer.encode("zebra", { add_special_tokens: false });
      assert.ok(ids.length >= 5 && !ids.includes(files.id(frame.unknown)));
      assert.equal(tokenizer.decode(ids), "zebra");
    });
  }
});
