import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { checkOptions } from "../../options.js";
import { localCopy } from "../../storage/index.js";
import type { Grade, VisualTask } from "../visual-task.js";
import { DATASET_OPTIONS, type DatasetOptions, findFile, type Row, range, rowsIn } from "./files.js";
import { imageOf, parquetSplit } from "./parquet.js";

/** Fields of ChartQA beside question and answer. */
export interface ChartQaAnnotation {
  /** Author of the question: a person, or a program from the chart's caption. */
  readonly source: "human" | "augmented";
  /** The chart's name, where the data come as files. */
  readonly chart?: string;
  /** The chart's data, CSV, where they come with it. */
  readonly table?: string;
}

const FROM =
  '"ChartQA Dataset" of https://github.com/vis-nlp/ChartQA, or its parquet files (test-….parquet) from Hugging Face.';

/**
 * ChartQA (https://aclanthology.org/2022.findings-acl.177): the folder `ChartQA Dataset`, with
 * `<split>/<split>_human.json`, `<split>_augmented.json` and `png/`; or a parquet file, or a folder of them.
 * @param options `split` is `test` unless given; the others are `train` and `val`.
 * @throws ModalscopeError when files or fields are missing
 */
export async function loadChartQa(
  pathOrUrl: string,
  options: DatasetOptions = {},
): Promise<VisualTask<ChartQaAnnotation>[]> {
  checkOptions("loadChartQa", options, DATASET_OPTIONS);
  const path = await localCopy(pathOrUrl);
  const { split = "test" } = options;
  const published = await parquetSplit(path, split, options);
  if (published) return published.map((row, i) => fromParquet(row, split, (options.start ?? 0) + i));
  const human = findFile("ChartQA", path, [`${split}/${split}_human.json`, `${split}_human.json`], FROM);
  const folder = join(human, "..");
  const augmented = findFile("ChartQA", folder, [`${split}_augmented.json`], FROM);
  const all = [
    ...rowsIn(human).map((row) => ({ row, source: "human" as const })),
    ...rowsIn(augmented).map((row) => ({ row, source: "augmented" as const })),
  ].map(({ row, source }, i) => {
    const image = row.text("imgname");
    const table = join(folder, "tables", image.replace(/\.png$/, ".csv"));
    return taskOf(`${split}-${i}`, row.text("query"), join(folder, "png", image), [row.text("label")], {
      source,
      chart: image,
      ...(existsSync(table) && { table: readFileSync(table, "utf8") }),
    });
  });
  return range(all, options);
}

/** Both layouts in use: `question, answer, type` and `query, label, human_or_machine`. */
function fromParquet(row: Row, split: string, i: number): VisualTask<ChartQaAnnotation> {
  if (row.has("query")) {
    const source = Number(row.text("human_or_machine")) === 0 ? "human" : "augmented";
    return taskOf(`${split}-${i}`, row.text("query"), imageOf(row), row.texts("label"), { source });
  }
  const source = row.text("type").startsWith("human") ? "human" : "augmented";
  return taskOf(`${split}-${i}`, row.text("question"), imageOf(row), [row.text("answer")], { source });
}

function taskOf(
  id: string,
  prompt: string,
  image: string | Uint8Array,
  answers: string[],
  annotation: ChartQaAnnotation,
): VisualTask<ChartQaAnnotation> {
  return {
    id,
    dataset: "chartqa",
    prompt,
    images: [image],
    answers,
    type: annotation.source,
    grade: gradeChartQa(prompt, answers, annotation),
    scoring: "relaxed",
    annotation,
  };
}

/** Words that ask for arithmetic or comparison. */
const ARITHMETIC =
  /\b(sum|total|add|subtract|minus|plus|differ\w*|ratio|times|divided?|multipl\w*|average|mean|median|mode|more|less|greater|smaller|fewer|larger|higher|lower|most|least|largest|smallest|highest|lowest|second|third|between|how many|increase|decrease|gap|combined|compare\w*)\b/i;

/**
 * ChartQA has no grades; this rule gives them. A question that a program made is easy. A person's question is hard when
 * its words ask for arithmetic or comparison, or when the chart's table is at hand and does not hold the answer; else it is
 * medium.
 */
export function gradeChartQa(
  question: string,
  answers: readonly string[],
  { source, table }: ChartQaAnnotation,
): Grade {
  if (source === "augmented") return "easy";
  const cells = table?.split(/[,\n\r]+/).map((cell) => cell.trim().toLowerCase());
  const inTable = cells === undefined || answers.some((answer) => cells.includes(answer.toLowerCase()));
  return ARITHMETIC.test(question) || !inTable ? "hard" : "medium";
}
