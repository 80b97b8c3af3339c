import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { ModalscopeError } from "../../../lib/errors.js";
import {
  easyVqaAnswers,
  GQA_TASK_TYPES,
  gradeChartQa,
  gradeDocVqa,
  gradeTextVqa,
  loadAmber,
  loadAmberWords,
  loadChartQa,
  loadDocVqa,
  loadEasyVqa,
  loadGqa,
  loadTextVqa,
  scoreAnswer,
  type TaskImage,
  type VisualTask,
} from "../../../lib/tasks/index.js";

const data = (name: string): string =>
  fileURLToPath(new URL(`../../../../test/fixtures/tasks/datasets/${name}`, import.meta.url));
const empty = mkdtempSync(join(tmpdir(), "modalscope data sets "));
after(() => rmSync(empty, { recursive: true, force: true }));

/** `png` or `jpeg`, told from the first bytes of the image's file. */
function formatOf(image: TaskImage): string {
  const bytes = typeof image === "string" ? readFileSync(image) : image;
  assert.ok(bytes instanceof Uint8Array);
  if (bytes[0] === 0x89 && bytes[1] === 0x50) return "png";
  return bytes[0] === 0xff && bytes[1] === 0xd8 ? "jpeg" : "unknown";
}

const questions = (tasks: VisualTask[]) => tasks.map((task) => [task.prompt, ...task.answers]);

describe("ChartQA", () => {
  it("reads the publisher's folder", async () => {
    const tasks = await loadChartQa(data("chartqa/ChartQA Dataset"));
    assert.deepEqual(questions(tasks), [
      ["What is the difference between tea and milk?", "12"],
      ["Which drink is shown in green?", "Tea"],
      ["Is the chart about food?", "No"],
      ["How many people lived in Upton in 2010?", "4.5"],
    ]);
    assert.deepEqual(
      tasks.map((task) => [task.type, task.grade]),
      [
        ["human", "hard"],
        ["human", "medium"],
        ["human", "hard"],
        ["augmented", "easy"],
      ],
    );
    assert.match(tasks[0].annotation.table ?? "", /^Drink,Cups/);
    assert.equal(tasks[3].annotation.table, undefined);
    for (const task of tasks) assert.equal(formatOf(task.images[0]), "png");
    assert.equal(scoreAnswer(tasks[0], "12.5"), 1);
  });

  it("reads parquet files in order, and a range across them", async () => {
    const tasks = await loadChartQa(data("chartqa-parquet"));
    assert.deepEqual(
      tasks.map((task) => [task.id, task.answers[0], task.type, formatOf(task.images[0])]),
      [
        ["test-0", "41", "human", "png"],
        ["test-1", "12%", "augmented", "png"],
        ["test-2", "Blue", "human", "png"],
      ],
    );
    const some = await loadChartQa(data("chartqa-parquet"), { start: 1, limit: 2 });
    assert.deepEqual(
      some.map((task) => task.id),
      ["test-1", "test-2"],
    );
  });

  it("reads the other column names, from one uncompressed file", async () => {
    const tasks = await loadChartQa(data("chartqa-labels.parquet"));
    assert.deepEqual(
      tasks.map((task) => [task.type, task.answers]),
      [
        ["human", ["7", "7.0"]],
        ["augmented", ["3"]],
      ],
    );
  });

  it("grades by its rule", () => {
    assert.equal(gradeChartQa("What is the total?", ["3"], { source: "augmented" }), "easy");
    assert.equal(gradeChartQa("Which year is blue?", ["1999"], { source: "human" }), "medium");
    assert.equal(
      gradeChartQa("Which year is blue?", ["1999"], { source: "human", table: "Year\n2000" }),
      "hard",
    );
    assert.equal(gradeChartQa("How many bars are there?", ["3"], { source: "human" }), "hard");
  });
});

describe("DocVQA", () => {
  it("reads the publisher's folder", async () => {
    const tasks = await loadDocVqa(data("docvqa"));
    assert.deepEqual(
      tasks.map((task) => [task.id, task.type, task.grade, task.answers.length]),
      [
        ["101", "form", "easy", 2],
        ["102", "table/list", "medium", 1],
        ["103", "Yes/No", "hard", 1],
      ],
    );
    assert.equal(formatOf(tasks[0].images[0]), "png");
    assert.equal(scoreAnswer(tasks[0], "4 may 1971"), 1);
  });
  it("reads parquet", async () => {
    const [task] = await loadDocVqa(data("docvqa-parquet"));
    assert.equal(task.prompt, "Who wrote the letter?");
    assert.deepEqual(task.annotation, { questionTypes: ["handwritten"], docId: "12" });
    assert.equal(formatOf(task.images[0]), "png");
  });
  it("grades by its rule", () => {
    assert.equal(gradeDocVqa([]), undefined);
    assert.equal(gradeDocVqa(["form", "free_text"]), "easy");
    assert.equal(gradeDocVqa(["form", "layout"]), "medium");
    assert.equal(gradeDocVqa(["form", "figure/diagram"]), "hard");
  });
});

describe("TextVQA", () => {
  it("reads the publisher's folder with its text reader's words", async () => {
    const tasks = await loadTextVqa(data("textvqa"));
    assert.deepEqual(
      tasks.map((task) => [task.id, task.grade, task.answers.length]),
      [
        ["1", "easy", 10],
        ["2", "medium", 10],
        ["3", "hard", 10],
      ],
    );
    assert.deepEqual(tasks[0].annotation.ocr, ["STOP", "MILL", "LANE"]);
    assert.equal(formatOf(tasks[0].images[0]), "jpeg");
    assert.equal(scoreAnswer(tasks[0], "The STOP."), 1);
    assert.ok(Math.abs(scoreAnswer(tasks[0], "top") - 0.3) < 1e-12);
  });
  it("reads parquet", async () => {
    const [task] = await loadTextVqa(data("textvqa-parquet"));
    assert.deepEqual([task.prompt, task.grade], ["what is the number?", "easy"]);
    assert.equal(formatOf(task.images[0]), "png");
  });
  it("grades by its rule", () => {
    const ten = (...counts: [string, number][]) => counts.flatMap(([answer, n]) => Array(n).fill(answer));
    assert.equal(gradeTextVqa(ten(["bus", 8], ["car", 2])), "easy");
    assert.equal(gradeTextVqa(ten(["bus", 7], ["car", 3])), "medium");
    assert.equal(gradeTextVqa(ten(["a red bus", 10])), "medium");
    assert.equal(gradeTextVqa(ten(["the bus", 5], ["Bus", 5])), "easy");
    assert.equal(gradeTextVqa(ten(["bus", 10]), ["car"]), "hard");
    assert.equal(gradeTextVqa(ten(["bus", 4], ["car", 3], ["van", 3])), "hard");
  });
});

describe("GQA", () => {
  it("keeps the questions of lists, whose fields may hold commas, quotes and line ends", async () => {
    const [first, second] = await loadGqa(data("gqa"));
    const folder = mkdtempSync(join(tmpdir(), "modalscope lists "));
    writeFileSync(
      join(folder, "a_ChooseAttr.csv"),
      `img_id,question_id,captions\n1,${second.id},"a, ""b""\n${first.id},c"\n2,unknown,d\n`,
    );
    assert.deepEqual(
      (await loadGqa(data("gqa"), { lists: folder })).map(({ id }) => id),
      [second.id],
    );
    rmSync(join(folder, "a_ChooseAttr.csv"));
    await assert.rejects(loadGqa(data("gqa"), { lists: folder }), /There is no CSV file in it/);
    rmSync(folder, { recursive: true });
  });

  it("keeps the six task types", async () => {
    const tasks = await loadGqa(data("gqa"));
    assert.deepEqual(
      tasks.map((task) => task.type),
      GQA_TASK_TYPES,
    );
    assert.equal(tasks[5].answers[0], "red");
    assert.equal(formatOf(tasks[0].images[0]), "jpeg");
  });
  it("keeps others when asked", async () => {
    const all = await loadGqa(data("gqa"), { types: "all" });
    assert.deepEqual(
      all.slice(6).map((task) => task.type),
      ["VerifyAttr", "QueryGlobal"],
    );
    const two = await loadGqa(data("gqa"), { types: ["ChooseRel", "QueryAttr"], start: 1, limit: 5 });
    assert.deepEqual(
      two.map((task) => task.id),
      ["0506"],
    );
  });
  it("reads parquet, questions and images apart", async () => {
    const [task, ...none] = await loadGqa(data("gqa-parquet"), { split: "testdev" });
    assert.equal(none.length, 0);
    assert.deepEqual([task.id, task.type, task.answers], ["0601", "QueryAttr", ["green"]]);
    assert.equal(formatOf(task.images[0]), "png");
  });
});

describe("AMBER", () => {
  it("reads the generative part", async () => {
    const tasks = await loadAmber(data("amber"));
    assert.deepEqual(
      tasks.map((task) => [task.id, task.prompt, task.annotation.truth[0], task.annotation.hallu.length]),
      [
        ["1", "Describe this image.", "sea", 2],
        ["2", "Describe this image.", "kitchen", 1],
      ],
    );
    assert.equal(formatOf(tasks[1].images[0]), "jpeg");
    const words = loadAmberWords(data("amber"));
    assert.deepEqual(words.association.boat, ["ship"]);
    assert.deepEqual(words.safe, ["line", "light"]);
  });
});

describe("easy-VQA", () => {
  for (const root of ["easy_vqa", "easy_vqa/data", ""]) {
    it(`reads the package from "${root}"`, async () => {
      const tasks = await loadEasyVqa(data(root), { split: "train" });
      assert.deepEqual(
        tasks.map((task) => [task.id, task.type, task.answers[0], task.annotation.imageId]),
        [
          ["train-0", "shape", "circle", 0],
          ["train-1", "color", "teal", 0],
          ["train-2", "yes-no", "no", 0],
          ["train-3", "yes-no", "yes", 1],
        ],
      );
      assert.equal(formatOf(tasks[3].images[0]), "png");
    });
  }
  it("knows its answers", () => {
    assert.deepEqual(easyVqaAnswers(data("easy_vqa")), ["circle", "teal", "no", "yes"]);
  });
});

describe("missing and broken files", () => {
  const loaders: [name: string, load: (path: string) => Promise<unknown>, expected: RegExp][] = [
    ["ChartQA", loadChartQa, /test\/test_human\.json.*github\.com\/vis-nlp\/ChartQA/s],
    ["DocVQA", loadDocVqa, /val_v1\.0_withQT\.json.*rrc\.cvc\.uab\.es/s],
    ["TextVQA", loadTextVqa, /TextVQA_0\.5\.1_val\.json.*textvqa\.org/s],
    ["GQA", loadGqa, /val_balanced_questions\.json.*images\//s],
    ["AMBER", loadAmber, /query_generative\.json.*junyangwang0410\/AMBER/s],
    ["easy-VQA", loadEasyVqa, /test\/questions\.json.*pip download easy-vqa/s],
  ];
  for (const [name, load, expected] of loaders) {
    it(`${name} says which files it expects where`, async () => {
      const folder = join(empty, name);
      await assert.rejects(load(folder), (error: Error) => {
        assert.ok(error instanceof ModalscopeError);
        assert.match(error.message, expected);
        return /There is no such folder/.test(error.message);
      });
      mkdirSync(folder);
      writeFileSync(join(folder, "notes.txt"), "");
      await assert.rejects(load(folder), /It holds notes\.txt/);
    });
  }

  it("a question file without its images", async () => {
    const folder = join(empty, "no images");
    mkdirSync(folder);
    writeFileSync(join(folder, "val_balanced_questions.json"), "{}");
    await assert.rejects(loadGqa(folder), /there is no images/);
  });
  it("a broken JSON file, and one of another format", async () => {
    const folder = join(empty, "broken");
    mkdirSync(folder);
    writeFileSync(join(folder, "val_v1.0.json"), "{");
    await assert.rejects(loadDocVqa(folder), /cannot be read as JSON/);
    writeFileSync(join(folder, "val_v1.0.json"), '{"data":[{"id":1}]}');
    await assert.rejects(loadDocVqa(folder), /entry 1 has no "image" that is text.*Its fields are id/s);
    writeFileSync(join(folder, "val_v1.0.json"), "[]");
    await assert.rejects(loadDocVqa(folder), /holds no list "data"/);
  });
  it("a broken parquet file, a missing one, and an image in no file", async () => {
    const broken = join(empty, "broken.parquet");
    writeFileSync(broken, "not parquet");
    await assert.rejects(loadChartQa(broken), /cannot be read as parquet/);
    await assert.rejects(loadChartQa(join(empty, "none.parquet")), /There is no file/);
    const folder = join(empty, "no image files");
    cpSync(data("gqa-parquet/testdev_balanced_instructions"), join(folder, "testdev_balanced_instructions"), {
      recursive: true,
    });
    await assert.rejects(loadGqa(folder, { split: "testdev" }), /image "n2" is in no parquet file/);
  });
});
