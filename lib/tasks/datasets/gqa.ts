import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ModalscopeError } from "../../errors.js";
import { checkOptions, either, listOf, type OptionChecks, oneOf, text } from "../../options.js";
import { localCopy } from "../../storage/index.js";
import type { VisualTask } from "../visual-task.js";
import { DATASET_OPTIONS, type DatasetOptions, findFile, Row, range, readJson } from "./files.js";
import { imageOf, parquetRows } from "./parquet.js";

/** Fields of GQA beside question and answer. */
export interface GqaAnnotation {
  readonly imageId: string;
  /** Structure of the question: verify, query, choose, logical, compare. */
  readonly structural: string;
  /** Subject of the question: obj, attr, cat, rel, global. */
  readonly semantic: string;
  readonly fullAnswer?: string;
}

/**
 * The six task types of the studies of information flow: GQA's structural type with its semantic type
 * (https://arxiv.org/abs/2411.18620, section 3).
 */
export const GQA_TASK_TYPES: readonly string[] = [
  "ChooseAttr",
  "ChooseCat",
  "ChooseRel",
  "CompareAttr",
  "LogicalObj",
  "QueryAttr",
];

export interface GqaOptions extends DatasetOptions {
  /** Keeps only questions of these types; the six task types unless given, `"all"` for every question. */
  readonly types?: readonly string[] | "all";
  /** Folder of CSV files with a column `question_id`: keeps only those questions, such as the lists of arXiv 2411.18620. */
  readonly lists?: string;
}

const FROM =
  "<split>_balanced_questions.json and images/ of https://cs.stanford.edu/people/dorarad/gqa/download.html, or the folders " +
  "<split>_balanced_instructions and <split>_balanced_images of parquet files from Hugging Face.";

const GQA_OPTIONS: OptionChecks<GqaOptions> = {
  ...DATASET_OPTIONS,
  types: either(oneOf("all"), listOf(text, 1)),
  lists: text,
};

/**
 * GQA (https://arxiv.org/abs/1902.09506): a folder with `<split>_balanced_questions.json` (or in `questions/`) and
 * `images/`; or one with the parquet folders `<split>_balanced_instructions/` and `<split>_balanced_images/`.
 * @param options `split` is `val` unless given (`train`, `testdev`); `start` and `limit` count what is kept.
 * @throws ModalscopeError when files or fields are missing, and for lists without questions
 */
export async function loadGqa(
  pathOrUrl: string,
  options: GqaOptions = {},
): Promise<VisualTask<GqaAnnotation>[]> {
  checkOptions("loadGqa", options, GQA_OPTIONS);
  const path = await localCopy(pathOrUrl);
  const { split = "val", types = GQA_TASK_TYPES, lists } = options;
  const listed = lists === undefined ? undefined : questionLists(lists);
  const wanted = (entries: readonly Entry[]): Entry[] => wantedOf(entries, types, listed);
  const instructions = join(path, `${split}_balanced_instructions`);
  if (existsSync(instructions)) {
    const rows = (await parquetRows(parquetIn(instructions), {})).map((row) => ({ id: row.text("id"), row }));
    const kept = range(wanted(rows), options);
    const images = await imagesOf(
      join(path, `${split}_balanced_images`),
      new Set(kept.map(({ row }) => row.text("imageId"))),
    );
    return kept.map(({ id, row }) => taskOf(id, row, images.get(row.text("imageId"))!));
  }
  const name = `${split}_balanced_questions.json`;
  const questions = findFile("GQA", path, [name, `questions/${name}`], FROM);
  const images = findFile("GQA", path, ["images"], FROM);
  const rows = Object.entries(readJson(questions) as Record<string, Record<string, unknown>>).map(
    ([id, fields]) => ({ id, row: new Row(fields, `"${questions}", question ${id}`) }),
  );
  return range(wanted(rows), options).map(({ id, row }) =>
    taskOf(id, row, join(images, `${row.text("imageId")}.jpg`)),
  );
}

interface Entry {
  readonly id: string;
  readonly row: Row;
}

const parquetIn = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".parquet"))
    .sort()
    .map((name) => join(folder, name));

function wantedOf(
  entries: readonly Entry[],
  types: readonly string[] | "all",
  listed: ReadonlySet<string> | undefined,
): Entry[] {
  const typed = types === "all" ? [...entries] : entries.filter(({ row }) => types.includes(typeOf(row)));
  return listed ? typed.filter(({ id }) => listed.has(id)) : typed;
}

/** Ids in the column `question_id` of a folder's CSV files. */
function questionLists(folder: string): Set<string> {
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".csv")) : [];
  const ids = files.flatMap((name) => {
    const [header = [], ...rows] = csvRows(readFileSync(join(folder, name), "utf8"));
    const column = header.indexOf("question_id");
    return column < 0 ? [] : rows.flatMap((row) => (row[column] ? [row[column]] : []));
  });
  if (ids.length === 0)
    throw new ModalscopeError(
      `No question is listed in "${folder}".`,
      files.length === 0
        ? "There is no CSV file in it."
        : `Its ${files.length} CSV files have no column question_id with entries.`,
      "Give the folder datasets/ of https://github.com/FightingFighting/cross-modal-information-flow-in-MLLM.",
    );
  return new Set(ids);
}

/** Records of a CSV file (RFC 4180): fields in quotes may hold commas, line ends and doubled quotes. */
function csvRows(text: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain = "", end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^,\r\n]*))(,|\r?\n|$)/g)) {
    rows[rows.length - 1].push(quoted?.replaceAll('""', '"') ?? plain);
    if (end !== ",") rows.push([]);
  }
  return rows.filter((row) => row.some((field) => field !== ""));
}

/** Reads the images of some ids, each once however many questions it has. */
async function imagesOf(folder: string, ids: ReadonlySet<string>): Promise<Map<string, Uint8Array>> {
  const images = new Map<string, Uint8Array>();
  const files = existsSync(folder) ? parquetIn(folder) : [];
  for (const file of files) {
    for (const row of await parquetRows([file], {})) {
      const id = row.text("id");
      if (ids.has(id)) images.set(id, imageOf(row));
    }
  }
  const missing = [...ids].find((id) => !images.has(id));
  if (missing !== undefined) {
    throw new ModalscopeError(
      `GQA's image "${missing}" is in no parquet file of "${folder}".`,
      files.length === 0 ? "There are no such files." : `It has ${files.length}.`,
      `Give the folder of the data set as its publisher ships it: ${FROM}`,
    );
  }
  return images;
}

const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

function typeOf(row: Row): string {
  const types = row.inner("types");
  return capital(types.text("structural")) + capital(types.text("semantic"));
}

function taskOf(id: string, row: Row, image: string | Uint8Array): VisualTask<GqaAnnotation> {
  const types = row.inner("types");
  return {
    id,
    dataset: "gqa",
    prompt: row.text("question"),
    images: [image],
    answers: row.has("answer") ? [row.text("answer")] : [],
    type: typeOf(row),
    scoring: "exact",
    annotation: {
      imageId: row.text("imageId"),
      structural: types.text("structural"),
      semantic: types.text("semantic"),
      ...(row.has("fullAnswer") && { fullAnswer: row.text("fullAnswer") }),
    },
  };
}
