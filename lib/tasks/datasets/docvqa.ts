import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { checkOptions } from "../../options.js";
import { localCopy } from "../../storage/index.js";
import type { Grade, VisualTask } from "../visual-task.js";
import { DATASET_OPTIONS, type DatasetOptions, findFile, type Row, range, rowsIn } from "./files.js";
import { imageOf, parquetSplit } from "./parquet.js";

/** Fields of DocVQA beside question and answers. */
export interface DocVqaAnnotation {
  /** `form`, `table/list`, `figure/diagram` …: what one must read to answer. Not with every download. */
  readonly questionTypes: readonly string[];
  readonly docId: string;
}

const FROM =
  "the questions (val_v1.0_withQT.json) and pages (documents/ or spdocvqa_images/) of https://rrc.cvc.uab.es/?ch=17, " +
  "or parquet files (validation-….parquet) from Hugging Face.";

/**
 * DocVQA, the single-page task (https://arxiv.org/abs/2007.00398): a folder with `<split>_v1.0_withQT.json` (or
 * `<split>_v1.0.json`, or either in `spdocvqa_qas/`) and the pages in `documents/` or `spdocvqa_images/`; or parquet.
 * @param options `split` is `val` unless given; parquet files call it `validation`.
 * @throws ModalscopeError when files or fields are missing
 */
export async function loadDocVqa(
  pathOrUrl: string,
  options: DatasetOptions = {},
): Promise<VisualTask<DocVqaAnnotation>[]> {
  checkOptions("loadDocVqa", options, DATASET_OPTIONS);
  const path = await localCopy(pathOrUrl);
  const { split = "val" } = options;
  const published = await parquetSplit(path, split === "val" ? "validation" : split, options);
  if (published) return published.map((row) => taskOf(row, imageOf(row)));
  const names = [`${split}_v1.0_withQT.json`, `${split}_v1.0.json`];
  const questions = findFile(
    "DocVQA",
    path,
    [...names, ...names.map((name) => `spdocvqa_qas/${name}`)],
    FROM,
  );
  const rows = range(rowsIn(questions, "data"), options);
  if (rows.length === 0) return [];
  const pages = folderOf(path, split, basename(rows[0].text("image")));
  return rows.map((row) => taskOf(row, join(pages, basename(row.text("image")))));
}

/** Folder of the pages, told from the first one. */
function folderOf(path: string, split: string, first: string): string {
  const folders = ["documents", "spdocvqa_images", `${split}/documents`];
  const found = folders.find((folder) => existsSync(join(path, folder, first)));
  return found
    ? join(path, found)
    : join(
        findFile(
          "DocVQA",
          path,
          folders.map((folder) => join(folder, first)),
          FROM,
        ),
        "..",
      );
}

function taskOf(row: Row, image: string | Uint8Array): VisualTask<DocVqaAnnotation> {
  const questionTypes = row.texts("question_types");
  return {
    id: row.text("questionId"),
    dataset: "docvqa",
    prompt: row.text("question"),
    images: [image],
    answers: row.texts("answers"),
    type: questionTypes[0] ?? "unknown",
    ...gradeOf(questionTypes),
    scoring: "anls",
    annotation: { questionTypes, docId: row.text("docId") },
  };
}

const gradeOf = (types: readonly string[]): { grade?: Grade } => {
  const grade = gradeDocVqa(types);
  return grade ? { grade } : {};
};

const EASY = new Set(["form", "free_text"]);
const MEDIUM = new Set(["table/list", "layout", "handwritten"]);

/**
 * DocVQA has no grades; this rule gives them from its question types, the hardest type counting: running text and forms
 * are easy, tables, layout and handwriting medium, and what is not read off the text (figures, photographs, yes or no,
 * others) hard. None without types.
 */
export function gradeDocVqa(types: readonly string[]): Grade | undefined {
  if (types.length === 0) return undefined;
  if (types.every((type) => EASY.has(type))) return "easy";
  return types.every((type) => EASY.has(type) || MEDIUM.has(type)) ? "medium" : "hard";
}
