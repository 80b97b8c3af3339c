import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ModalscopeError } from "../../errors.js";
import type { VisualTask } from "../visual-task.js";
import { type DatasetOptions, findFile, Row, range, readJson } from "./files.js";
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

const FROM =
  "<split>_balanced_questions.json and images/ of https://cs.stanford.edu/people/dorarad/gqa/download.html, or the folders " +
  "<split>_balanced_instructions and <split>_balanced_images of parquet files from Hugging Face.";

/**
 * GQA (https://arxiv.org/abs/1902.09506): a folder with `<split>_balanced_questions.json` (or in `questions/`) and
 * `images/`; or one with the parquet folders `<split>_balanced_instructions/` and `<split>_balanced_images/`.
 * @param options `split` is `val` unless given (`train`, `testdev`); `types` keeps only questions of these types, the six
 * task types unless given, `"all"` for every question; `start` and `limit` count what is kept.
 * @throws ModalscopeError when files or fields are missing
 */
export async function loadGqa(
  path: string,
  options: DatasetOptions & { readonly types?: readonly string[] | "all" } = {},
): Promise<VisualTask<GqaAnnotation>[]> {
  const { split = "val", types = GQA_TASK_TYPES } = options;
  const instructions = join(path, `${split}_balanced_instructions`);
  if (existsSync(instructions)) {
    const rows = (await parquetRows(parquetIn(instructions), {})).map((row) => ({ id: row.text("id"), row }));
    const kept = range(wanted(rows, types), options);
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
  return range(wanted(rows, types), options).map(({ id, row }) =>
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

function wanted(entries: readonly Entry[], types: readonly string[] | "all"): Entry[] {
  return types === "all" ? [...entries] : entries.filter(({ row }) => types.includes(typeOf(row)));
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
