import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { ModalscopeError } from "../../../lib/errors.js";
import { seeded } from "../../../lib/random.js";
import {
  amberScores,
  blind,
  CAPTION_NOUNS,
  type CaptionScene,
  captions,
  captionTask,
  captionTruth,
  documentTask,
  drawTasks,
  inWords,
  rasterOf,
  SYNTHETIC_TASKS,
  type SyntheticTask,
  sceneTextTask,
  scoreAnswer,
  syntheticTaskNamed,
  syntheticVocabulary,
  type VisualTask,
  withImageOf,
  wordsOf,
} from "../../../lib/tasks/index.js";
import { SOLVERS } from "./solve.js";
import { imagesHash } from "./write-rasters.js";

const SPLITS = ["train", "heldout"] as const;
const syntheticTasks = Object.values(SYNTHETIC_TASKS);
const hashOf = (task: VisualTask): string =>
  createHash("sha256").update(rasterOf(task).data).digest("base64");
const describes = (task: VisualTask): boolean => task.scoring === "amber";

/** A draw of each synthetic, made once: they are not changed by what is tested. */
const drawn = new Map<string, VisualTask[]>();
function tasksOf(synthetic: SyntheticTask<unknown>, split: (typeof SPLITS)[number]): VisualTask[] {
  const key = `${synthetic.name} ${split}`;
  const tasks = drawn.get(key) ?? drawTasks(synthetic, { count: 200, split, seed: 11 });
  drawn.set(key, tasks);
  return tasks;
}

for (const synthetic of syntheticTasks) {
  describe(synthetic.name, () => {
    it("gives the answer that follows from the passage", () => {
      for (const task of SPLITS.flatMap((split) => tasksOf(synthetic, split))) {
        if (describes(task)) continue;
        const passage = inWords(synthetic, task).textDescription as string;
        const solved = SOLVERS[synthetic.name](task.prompt, passage);
        assert.equal(task.answers[0], solved, `${task.type}: ${task.prompt} — ${passage}`);
        assert.equal(scoreAnswer(task, solved), 1);
      }
    });

    it("takes hops that are questions of their own, the last of them the question itself", () => {
      for (const task of SPLITS.flatMap((split) => tasksOf(synthetic, split))) {
        if (!task.hops) continue;
        const { annotations = [] } = rasterOf(task);
        const passage = synthetic.textDescription(task.annotation);
        assert.ok(task.hops.length > 1, task.prompt);
        for (const { prompt, answer, regions } of task.hops) {
          assert.equal(SOLVERS[synthetic.name](prompt, passage), answer, `${prompt} — ${passage}`);
          // Where one region shows the answer, its words say so.
          for (const region of regions) assert.ok(annotations[region], `${prompt}: region ${region}`);
          const words = annotations[regions[0]]?.words ?? [];
          if (regions.length === 1 && !/^how many/.test(prompt) && words.length > 0)
            for (const word of wordsOf(answer))
              assert.ok(words.includes(word), `${prompt}: ${word} in ${words}`);
        }
        const last = task.hops[task.hops.length - 1];
        assert.deepEqual([last.prompt, last.answer], [task.prompt, task.answers[0]]);
      }
    });

    it("asks further questions about a scene, of the types that it allows", () => {
      const random = seeded(4);
      const tasks = tasksOf(synthetic, "heldout");
      const further = tasks.flatMap((task) => {
        const allowed = synthetic.questionTypes?.(task.annotation) ?? [task.type];
        assert.ok(allowed.includes(task.type), task.type);
        return allowed.map((type) => ({
          ...task,
          ...synthetic.question(task.annotation, type, random, "heldout"),
          type,
          scoring: synthetic.scoring(type),
        }));
      });
      for (const task of further.filter((t) => !describes(t))) {
        const solved = SOLVERS[synthetic.name](task.prompt, synthetic.textDescription(task.annotation));
        assert.equal(task.answer, solved, `${task.type}: ${task.prompt}`);
      }
    });

    it("draws every type as often, and grades it", () => {
      for (const split of SPLITS) {
        const types = tasksOf(synthetic, split).map((task) => task.type);
        const kept = new Set(types);
        const heldOut = split === "train" ? (synthetic.heldOutTypes ?? []) : [];
        assert.deepEqual(
          [...kept],
          Object.keys(synthetic.types).filter((type) => !heldOut.includes(type)),
        );
        for (const type of kept) {
          const count = types.filter((t) => t === type).length;
          assert.ok(Math.abs(count - types.length / kept.size) <= 1, type);
        }
      }
      for (const task of tasksOf(synthetic, "heldout")) assert.equal(task.grade, synthetic.types[task.type]);
    });

    it("uses its vocabulary, no other word, and each word of it", () => {
      // No images are needed here, and many draws are.
      const used = new Set<string>();
      const random = seeded(1);
      const types = Object.keys(synthetic.types);
      for (let i = 0; i < 3000 + 25 * synthetic.vocabulary.length; i++) {
        const type = types[i % types.length];
        const split = SPLITS[i % 2];
        const scene = synthetic.scene(random, type, split);
        const { prompt, answer } = synthetic.question(scene, type, random, split);
        const lists = synthetic.listings?.(scene, random) ?? [];
        const listed = lists.flatMap((list) => [list.prompt, ...list.entries.flat()]);
        for (const text of [prompt, answer, synthetic.textDescription(scene), ...listed]) {
          for (const word of wordsOf(text)) used.add(word);
        }
      }
      assert.deepEqual([...used].sort(), [...synthetic.vocabulary].sort());
    });

    it("answers yes and no as often", () => {
      const random = seeded(2);
      for (const type of Object.keys(synthetic.types)) {
        const answers = Array.from({ length: 2000 }, () => {
          const scene = synthetic.scene(random, type, "heldout");
          return synthetic.question(scene, type, random, "heldout").answer;
        });
        if (!answers.every((answer) => answer === "yes" || answer === "no")) continue;
        const share = answers.filter((answer) => answer === "yes").length / answers.length;
        // Four standard errors.
        assert.ok(Math.abs(share - 0.5) < 0.045, `${type}: ${share}`);
      }
    });

    it("keeps train and held-out images apart, whatever the seeds", () => {
      for (const size of [synthetic.minImageSize, 64]) {
        const train = new Set(
          [1, 2].flatMap((seed) =>
            drawTasks(synthetic, { count: 100, split: "train", seed, size }).map(hashOf),
          ),
        );
        const both = [1, 3]
          .flatMap((seed) => drawTasks(synthetic, { count: 60, split: "heldout", seed, size }))
          .filter((task) => train.has(hashOf(task)));
        assert.deepEqual(
          both.map((task) => task.annotation),
          [],
        );
      }
    });

    it("is the same for the same arguments, and another for another seed", () => {
      const draw = (seed: number) => drawTasks(synthetic, { count: 20, split: "train", seed });
      assert.deepEqual(draw(4), draw(4));
      assert.notDeepEqual(draw(4).map(hashOf), draw(5).map(hashOf));
    });

    it("draws the images that it drew when this was written", () => {
      const goldens = JSON.parse(
        readFileSync(new URL("../../../../test/fixtures/tasks/rasters.json", import.meta.url), "utf8"),
      ) as Record<string, Record<string, string>>;
      for (const [size, golden] of Object.entries(goldens[synthetic.name])) {
        assert.equal(imagesHash(synthetic, Number(size)), golden, `at ${size} pixels`);
      }
    });

    it("takes sizes from the least that is legible on", () => {
      for (const size of [synthetic.minImageSize, 65, 112]) {
        const raster = rasterOf(drawTasks(synthetic, { count: 1, split: "train", size })[0]);
        assert.deepEqual([raster.width, raster.height, raster.data.length], [size, size, size * size * 3]);
      }
      for (const size of [synthetic.minImageSize - 1, 64.5, Number.NaN]) {
        assert.throws(() => drawTasks(synthetic, { count: 1, split: "train", size }), ModalscopeError);
      }
    });
  });
}

describe("drawTasks", () => {
  it("draws the types asked for, in turn", () => {
    const tasks = drawTasks(SYNTHETIC_TASKS.charts, { count: 4, split: "train", types: ["sum", "kind"] });
    assert.deepEqual(
      tasks.map((task) => task.type),
      ["sum", "kind", "sum", "kind"],
    );
  });
  it("refuses unknown types, and held-out ones in training", () => {
    const draw = (type: string) =>
      drawTasks(SYNTHETIC_TASKS.hands, { count: 1, split: "train", types: [type] });
    assert.throws(() => draw("sixx"), /Did you mean "six"/);
    assert.throws(() => draw("six"), /never trained on/);
  });
  it("knows its syntheticTasks", () => {
    assert.equal(syntheticTaskNamed("scenes"), SYNTHETIC_TASKS.scenes);
    assert.throws(() => syntheticTaskNamed("scene"), /Did you mean "scenes"/);
    const words = syntheticVocabulary();
    assert.equal(new Set(words).size, words.length);
    for (const synthetic of syntheticTasks)
      for (const word of synthetic.vocabulary) assert.ok(words.includes(word));
  });
});

describe("words", () => {
  it("are the first of each list when fewer are asked for", () => {
    for (const make of [documentTask, sceneTextTask]) {
      const [few, all]: SyntheticTask<unknown>[] = [make({ words: 20 }), make()];
      assert.ok(few.vocabulary.length < all.vocabulary.length);
      for (const { answers } of drawTasks(few, { count: 200, split: "train" }))
        for (const word of wordsOf(answers[0])) assert.ok(few.vocabulary.includes(word), word);
    }
  });
  it("are a thousand and more in all", () => assert.ok(syntheticVocabulary().length > 1000));
});

describe("controls", () => {
  const [task, other] = drawTasks(SYNTHETIC_TASKS.scenes, { count: 2, split: "heldout" });
  it("say the image in words, leave it out, or give another", () => {
    const words = inWords(SYNTHETIC_TASKS.scenes, task);
    assert.deepEqual([words.images, words.prompt, words.answers], [[], task.prompt, task.answers]);
    assert.ok(words.textDescription);
    assert.deepEqual([blind(task).images, blind(task).textDescription], [[], undefined]);
    assert.equal(withImageOf(task, other).images[0], other.images[0]);
    assert.equal(withImageOf(task, other).answers, task.answers);
    assert.equal(new Set([task, words, blind(task), withImageOf(task, other)].map((t) => t.id)).size, 4);
  });
  it("have no raster", () => {
    assert.throws(() => rasterOf(blind(task)), /has no raster/);
  });
});

describe("hands", () => {
  it("have five fingers in training, while six is counted of other things", () => {
    const tasks = drawTasks(SYNTHETIC_TASKS.hands, { count: 500, split: "train" });
    const answers = (type: string) => new Set(tasks.filter((t) => t.type === type).map((t) => t.answers[0]));
    assert.deepEqual([...answers("fingers")], ["5"]);
    for (const type of ["apples", "dots", "stripes"]) assert.ok(answers(type).has("6"), type);
    const six = drawTasks(SYNTHETIC_TASKS.hands, { count: 20, split: "heldout", types: ["six"] });
    for (const task of six) assert.deepEqual(task.answers, ["6"]);
  });
});

describe("captions", () => {
  /** Scenes with their captions and no images, of which many are drawn. */
  function described(synthetic: SyntheticTask<CaptionScene>, split: (typeof SPLITS)[number], count: number) {
    const random = seeded(3);
    return Array.from({ length: count }, (_, i) => {
      const type = i % 2 === 0 ? "caption" : "detail";
      const scene = synthetic.scene(random, type, split);
      return { scene, ...synthetic.question(scene, type, random, split) };
    });
  }
  const scored = (drawn: ReturnType<typeof described>) =>
    amberScores(
      drawn.map(({ scene, answer }) => ({ text: answer, annotation: captionTruth(scene) })),
      { association: CAPTION_NOUNS },
    );

  it("describe held-out images truly and wholly", () => {
    const drawn = described(captions, "heldout", 400);
    const scores = scored(drawn);
    assert.deepEqual([scores.chair, scores.cover, scores.hal, scores.cog], [0, 1, 0, 0]);
    // The captions name just what the solver reads from the passage.
    for (const { scene, prompt, answer } of drawn) {
      const nouns = wordsOf(answer).filter((word) => word in CAPTION_NOUNS);
      assert.equal([...nouns].sort().join(" "), SOLVERS.captions(prompt, captions.textDescription(scene)));
    }
  });

  it("slip in training as often as asked, and only to what is expected", () => {
    const drawn = described(captionTask({ slips: 0.5 }), "train", 3000);
    const expected = drawn.flatMap(({ scene }) => scene.expected).length;
    const slips = drawn.flatMap(({ scene }) => scene.slips).length;
    // About 450 expected: 0.5 ± 0.1 is four standard errors.
    assert.ok(Math.abs(slips / expected - 0.5) < 0.1, `${slips} of ${expected}`);
    const scores = scored(drawn);
    assert.ok(Math.abs(scores.cog - slips / expected) < 1e-12);
    assert.ok(scores.hal > 0);
    assert.equal(scored(described(captionTask({ slips: 0 }), "train", 300)).hal, 0);
  });

  it("show companions as often as asked, less in held-out images", () => {
    for (const [split, share] of [
      ["train", 0.9],
      ["heldout", 0.5],
    ] as const) {
      const scenes = described(captions, split, 1500).map(({ scene }) => scene);
      const there = scenes.flatMap((scene) => scene.things.filter((thing) => thing.faint)).length;
      const absent = scenes.flatMap((scene) => scene.expected).length;
      // At least 2000 pairs: four standard errors are 0.045.
      assert.ok(
        Math.abs(there / (there + absent) - share) < 0.045,
        `${split}: ${there} of ${there + absent}`,
      );
    }
  });

  it("put one thing in a cell", () => {
    for (const { scene } of described(captions, "train", 500)) {
      const cells = scene.things.map((thing) => thing.row * 3 + thing.column);
      assert.equal(new Set(cells).size, cells.length);
    }
  });
});
