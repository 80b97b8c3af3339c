/** Experiments on the planted vision checkpoints find what was planted. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import {
  type Batch,
  type Edits,
  edit,
  loadModel,
  type Model,
  saveCheckpoint,
  visualEdits,
} from "../../../lib/model/index.js";
import {
  asMessage,
  PLANTED_VISION_KINDS,
  type PlantedVision,
  type PlantedVisionKind,
  type PlantedVisionOptions,
  plantedInWords,
  plantedTasks,
  plantedVision,
  type VisualTask,
} from "../../../lib/tasks/index.js";
import { isSlow } from "../../rounds.js";

const root = mkdtempSync(join(tmpdir(), "modalscope planted "));
const opened = new Map<string, Promise<{ made: PlantedVision; model: Model }>>();
after(async () => {
  for (const one of opened.values()) await (await one).model.close();
  rmSync(root, { recursive: true, force: true });
});

/** Each checkpoint is made, and its sessions are built, once. */
function open(
  kind: PlantedVisionKind,
  options: PlantedVisionOptions,
): Promise<{ made: PlantedVision; model: Model }> {
  const name = `${kind} ${JSON.stringify(options)}`;
  const begin = async (): Promise<{ made: PlantedVision; model: Model }> => {
    const made = plantedVision(kind, options);
    const folder = join(root, String(opened.size));
    saveCheckpoint(folder, made.config, made.weights, made.files);
    return { made, model: await loadModel(folder, { threads: 1 }) };
  };
  if (!opened.has(name)) opened.set(name, begin());
  return opened.get(name)!;
}

/** A planted model with one grade of its questions. */
class Trial {
  private constructor(
    readonly made: PlantedVision,
    readonly model: Model,
    readonly batch: Batch,
    readonly answers: readonly string[],
  ) {}

  static async open(
    kind: PlantedVisionKind,
    { grade = "easy", ...options }: PlantedVisionOptions & { readonly grade?: string } = {},
  ): Promise<Trial> {
    const { made, model } = await open(kind, { layers: 8, seed: 0, ...options });
    const asked = made.questions.filter((q) => q.grade === grade);
    const batch = await model.prepare(asked.map((q) => [asMessage(q)]));
    return new Trial(
      made,
      model,
      batch,
      asked.map(({ answers }) => answers[0]),
    );
  }

  /** The same model with other questions. */
  async asking(questions: readonly VisualTask[]): Promise<Trial> {
    const batch = await this.model.prepare(questions.map((q) => [asMessage(q)]));
    return new Trial(
      this.made,
      this.model,
      batch,
      questions.map(({ answers }) => answers[0]),
    );
  }

  /** Number of first tokens that are right under an edit. */
  async right(edits: Edits = {}): Promise<number> {
    const out = await this.model.generate(this.batch, { maxNewTokens: 1, edits });
    return out.filter(({ text }, i) => text.trim() === this.answers[i]).length;
  }

  /** The same for an edit at each block. */
  async byLayer(edits: (layer: number) => Edits): Promise<number[]> {
    const counts: number[] = [];
    for (const layer of this.model.layers) counts.push(await this.right(edits(layer)));
    return counts;
  }

  zeroFrom(layer: number): Edits {
    return { [input(layer)]: edit.fill(0, { positions: this.batch.visual }) };
  }

  hideFrom(layer: number): Edits {
    return Object.fromEntries(
      this.model.layers.slice(layer).map((l) => [scores(l), edit.blockAttention({ to: this.batch.visual })]),
    );
  }

  /** Each row's visual tokens replaced by the mean over the other rows'. */
  async meanOfOthers(): Promise<(layer: number) => Edits> {
    const { cache } = await this.model.run(this.batch, {
      capture: this.model.layers.map(input),
      logits: "none",
    });
    return (layer) => {
      const { data, shape } = cache.get(input(layer));
      const [rows, time, width] = shape;
      const meanWithout = (row: number): Float32Array => {
        const mean = new Float32Array(width);
        const others = this.batch.visual.flatMap((own, b) => (b === row ? [] : own.map((t) => b * time + t)));
        for (const token of others)
          for (let j = 0; j < width; j++) mean[j] += data[token * width + j] / others.length;
        return mean;
      };
      return {
        [input(layer)]: Array.from({ length: rows }, (_, row) =>
          edit.fill(
            { data: meanWithout(row), shape: [width] },
            { rows: [row], positions: this.batch.visual },
          ),
        ),
      };
    };
  }

  /** Share of the first head's attention that the last token gives to visual tokens, by block. */
  async flow(): Promise<number[]> {
    const { cache } = await this.model.run(this.batch, {
      capture: ["blocks.*.attn.hook_pattern"],
      logits: "none",
    });
    return this.model.layers.map((l) => {
      const { data, shape } = cache.get(`blocks.${l}.attn.hook_pattern`);
      const [, , queries, keys] = shape;
      return this.batch.visual[0].reduce((sum, key) => sum + data[(queries - 1) * keys + key], 0);
    });
  }

  /** Jaccard index of the experts that visual tokens and the others use, by block. */
  async sharedExperts(): Promise<number[]> {
    const hook = "mlp.hook_expert_indices";
    const { cache } = await this.model.run(this.batch, { capture: [`blocks.*.${hook}`], logits: "none" });
    const visual = new Set(this.batch.visual[0]);
    return this.model.layers.map((l) => {
      const { data, shape } = cache.get(`blocks.${l}.${hook}`);
      const [, time, perToken] = shape;
      const used = (wanted: boolean): Set<number> =>
        new Set(
          Array.from(data.subarray(0, time * perToken)).filter(
            (_, i) => visual.has(Math.floor(i / perToken)) === wanted,
          ),
        );
      const [image, text] = [used(true), used(false)];
      const both = [...image].filter((e) => text.has(e)).length;
      return both / (image.size + text.size - both);
    });
  }
}

const input = (layer: number): string => (layer === 0 ? "hook_embed" : `blocks.${layer}.hook_resid_pre`);
const scores = (layer: number): string => `blocks.${layer}.attn.hook_attn_scores`;

/** `low` up to and including a block, `high` after it. */
const stepAfter = (block: number, layers: number, low: number, high: number): number[] =>
  Array.from({ length: layers }, (_, l) => (l <= block ? low : high));

const ALL = 6;
/** Everything is called red where nothing is known: one of the six is. */
const BLIND = 1;

describe("planted vision checkpoints", () => {
  it("answer every question, but for the one in which nothing is planted", async () => {
    for (const kind of PLANTED_VISION_KINDS) {
      const trial = await Trial.open(kind);
      assert.equal(await trial.right(), kind === "none" ? BLIND : ALL, kind);
    }
  });

  for (const seed of isSlow ? [0, 1] : [0]) {
    for (const kind of ["late", "early"] as const) {
      it(`${kind}: visual tokens matter up to the block that reads them (seed ${seed})`, async () => {
        const trial = await Trial.open(kind, { seed });
        const reads = trial.made.layer!;
        assert.equal(reads, kind === "late" ? 5 : 1);
        const step = stepAfter(reads, 8, BLIND, ALL);
        assert.deepEqual(await trial.byLayer((l) => trial.zeroFrom(l)), step);
        assert.deepEqual(await trial.byLayer((l) => trial.hideFrom(l)), step);
        // The mean of the others' codes points away from the own one: below chance.
        assert.deepEqual(await trial.byLayer(await trial.meanOfOthers()), stepAfter(reads, 8, 0, ALL));
        const single = await trial.byLayer((l) => ({
          [scores(l)]: edit.blockAttention({ to: trial.batch.visual }),
        }));
        assert.deepEqual(
          single,
          single.map((_, l) => (l === reads ? BLIND : ALL)),
        );
        const flow = await trial.flow();
        assert.ok(flow[reads] > 0.98);
        assert.ok(flow.every((share, l) => l === reads || share < 0.65));
        const silenced = await trial.byLayer((l) => ({ [`blocks.${l}.hook_mlp_out`]: edit.fill(0) }));
        assert.deepEqual(
          silenced,
          silenced.map(() => ALL),
        );
      });
    }

    it(`routing: attention reads everywhere, the experts of one block write the answer (seed ${seed})`, async () => {
      const trial = await Trial.open("routing", { seed });
      const writes = trial.made.layer!;
      assert.ok((await trial.flow()).every((share) => share > 0.98));
      assert.deepEqual(await trial.sharedExperts(), [0, 0, 0, 0, 0, 1, 0, 0]);
      const silenced = await trial.byLayer((l) => ({ [`blocks.${l}.hook_mlp_out`]: edit.fill(0) }));
      assert.deepEqual(
        silenced,
        silenced.map((_, l) => (l === writes ? BLIND : ALL)),
      );
      const hidden = await trial.byLayer((l) => trial.hideFrom(l));
      assert.ok(
        hidden.every((right, l) => (l <= writes ? right <= BLIND : right === ALL)),
        String(hidden),
      );
    });

    it(`leak: DeepStack brings back what an edit of the stream took (seed ${seed})`, async () => {
      const trial = await Trial.open("leak", { seed });
      assert.deepEqual(await trial.byLayer((l) => trial.zeroFrom(l)), [6, 6, 6, 1, 1, 6, 6, 6]);
      const covered = await trial.byLayer((l) =>
        visualEdits(trial.model, trial.batch, edit.fill(0), l === 0 ? {} : { from: l }),
      );
      assert.deepEqual(covered, stepAfter(4, 8, BLIND, ALL));
    });

    it(`sink: hidden visual tokens turn the answer, another image's leave it (seed ${seed})`, async () => {
      const trial = await Trial.open("sink", { seed });
      assert.deepEqual(await trial.byLayer((l) => trial.hideFrom(l)), stepAfter(5, 8, 0, ALL));
      const others = await trial.byLayer(await trial.meanOfOthers());
      assert.deepEqual(
        others,
        others.map(() => ALL),
      );
    });

    it(`none: no edit changes anything (seed ${seed})`, async () => {
      const trial = await Trial.open("none", { seed });
      const hidden = await trial.byLayer((l) => trial.hideFrom(l));
      assert.deepEqual(
        hidden,
        hidden.map(() => BLIND),
      );
    });
  }

  it("keep everything under the mean of an image's own tokens, which holds what they share", async () => {
    const trial = await Trial.open("late");
    const kept = await trial.byLayer((l) => ({ [input(l)]: edit.mean({ positions: trial.batch.visual }) }));
    assert.deepEqual(
      kept,
      kept.map(() => ALL),
    );
  });

  it("hops: hard questions need the visual tokens for twice as long as easy ones, at any depth", async () => {
    const depths = [
      [8, 3, 6],
      [24, 9, 18],
    ];
    for (const [layers, easy, hard] of isSlow ? depths : depths.slice(0, 1)) {
      const one = await Trial.open("hops", { layers });
      assert.deepEqual(await one.byLayer((l) => one.hideFrom(l)), stepAfter(easy, layers, BLIND, ALL));
      const two = await Trial.open("hops", { layers, grade: "hard" });
      const count = two.answers.length;
      assert.equal(await two.right(), count);
      // The easy questions' head reads a little for hard ones too: enough for one of sixty by chance.
      const hidden = await two.byLayer((l) => two.hideFrom(l));
      assert.ok(
        hidden.every((right, l) => (l <= hard ? Math.abs(right - count / ALL) <= 1 : right === count)),
        String(hidden),
      );
    }
  });

  it("decide in the block that is asked for", async () => {
    for (const kind of isSlow ? (["late", "routing", "sink"] as const) : (["late"] as const)) {
      const trial = await Trial.open(kind, { layers: 12, decides: 9 });
      assert.equal(trial.made.layer, 9);
      const hidden = await trial.byLayer((l) => trial.hideFrom(l));
      assert.ok(
        hidden.every((right, l) => (l <= 9 ? right <= BLIND : right === ALL)),
        `${kind}: ${hidden}`,
      );
    }
    assert.throws(() => plantedVision("late", { decides: 8 }), /Block 8 cannot decide/);
    assert.throws(() => plantedVision("none", { decides: 3 }), /No block of it does/);
  });

  it("answer drawn questions, whose images differ, up to the block that decides", async () => {
    for (const kind of isSlow ? (["late", "sink", "hops"] as const) : (["hops"] as const)) {
      const trial = await Trial.open(kind, { layers: 9 });
      const tasks = plantedTasks(kind, { count: 24, seed: 5 });
      assert.equal(new Set(tasks.map(({ images }) => JSON.stringify(images))).size, 24);
      assert.equal(tasks.filter(({ grade }) => grade === "hard").length, kind === "hops" ? 12 : 0);
      const drawn = await trial.asking(tasks);
      assert.equal(await drawn.right(), 24, kind);
      assert.equal(await drawn.right(drawn.hideFrom(trial.made.layer! + 1)), 24, kind);
      assert.ok((await drawn.right(drawn.hideFrom(trial.made.layer!))) < 18, kind);
    }
    const again = plantedTasks("late", { count: 24, seed: 5 });
    assert.deepEqual(again, plantedTasks("late", { count: 24, seed: 5 }));
    assert.notDeepEqual(again, plantedTasks("late", { count: 24, seed: 6 }));
  });

  it("lateText answers in words too, late answers from images alone", async () => {
    for (const kind of ["lateText", "late"] as const) {
      const trial = await Trial.open(kind);
      const twins = await trial.asking(plantedTasks(kind, { count: 12 }).map(plantedInWords));
      assert.ok(twins.batch.visual.every((columns) => columns.length === 0));
      const right = await twins.right();
      if (kind === "late") assert.equal(right, 12 / ALL);
      else {
        assert.equal(right, 12);
        // The passage's tokens matter up to the block that reads them.
        const name = trial.model.tokenize("red")[0];
        const colour = twins.batch.tokenPositions.map((columns, b) =>
          columns.filter((c) => {
            const id = twins.batch.inputIds[b * twins.batch.seqLength + c];
            return id >= name && id < name + ALL;
          }),
        );
        const zeroed = await twins.byLayer((l) => ({ [input(l)]: edit.fill(0, { positions: colour }) }));
        assert.deepEqual(zeroed, stepAfter(trial.made.layer!, 8, 12 / ALL, 12));
      }
    }
  });

  it("are the same for the same seed, and refuse too few blocks and unknown kinds", () => {
    const [a, b] = [plantedVision("late", { seed: 3 }), plantedVision("late", { seed: 3 })];
    for (const [name, { data }] of a.weights) assert.deepEqual(data, b.weights.get(name)!.data);
    assert.throws(() => plantedVision("late", { layers: 7 }), /at least 8/);
    assert.throws(
      () => plantedVision("constructor" as PlantedVisionKind),
      /There are early, earlyText, hops/,
    );
  });
});
