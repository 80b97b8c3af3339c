import { existsSync } from "node:fs";
import { join } from "node:path";
import { checkOptions } from "../../options.js";
import { localCopy } from "../../storage/index.js";
import { normaliseVqaAnswer } from "../scoring/vqa.js";
import type { Grade, VisualTask } from "../visual-task.js";
import { DATASET_OPTIONS, type DatasetOptions, findFile, type Row, range, rowsIn } from "./files.js";
import { imageOf, parquetSplit } from "./parquet.js";

/** Fields of TextVQA beside question and answers. */
export interface TextVqaAnnotation {
  readonly imageId: string;
  /** Open Images' labels of the image. */
  readonly imageClasses: readonly string[];
  /** Words that the publisher's text reader found; none where they are not at hand. */
  readonly ocr?: readonly string[];
}

const FROM =
  "TextVQA_0.5.1_val.json and train_images/ of https://textvqa.org/dataset, or parquet files (validation-….parquet) from " +
  "Hugging Face.";

/**
 * TextVQA (https://arxiv.org/abs/1904.08920): a folder with `TextVQA_0.5.1_<split>.json`, the images in `train_images/`
 * (`test_images/` for the test split) and, if at hand, `TextVQA_Rosetta_OCR_v0.2_<split>.json`; or parquet.
 * @param options `split` is `val` unless given; parquet files call it `validation`.
 * @throws ModalscopeError when files or fields are missing
 */
export async function loadTextVqa(
  pathOrUrl: string,
  options: DatasetOptions = {},
): Promise<VisualTask<TextVqaAnnotation>[]> {
  checkOptions("loadTextVqa", options, DATASET_OPTIONS);
  const path = await localCopy(pathOrUrl);
  const { split = "val" } = options;
  const published = await parquetSplit(path, split === "val" ? "validation" : split, options);
  if (published)
    return published.map((row) =>
      taskOf(row, imageOf(row), row.has("ocr_tokens") ? row.texts("ocr_tokens") : undefined),
    );
  const questions = findFile("TextVQA", path, [`TextVQA_0.5.1_${split}.json`], FROM);
  const folder = findFile("TextVQA", path, [split === "test" ? "test_images" : "train_images"], FROM);
  const ocr = readOcr(join(path, `TextVQA_Rosetta_OCR_v0.2_${split}.json`));
  return range(rowsIn(questions, "data"), options).map((row) => {
    const id = row.text("image_id");
    return taskOf(row, join(folder, `${id}.jpg`), ocr?.get(id));
  });
}

function readOcr(path: string): Map<string, string[]> | undefined {
  if (!existsSync(path)) return undefined;
  return new Map(rowsIn(path, "data").map((row) => [row.text("image_id"), row.texts("ocr_tokens")]));
}

function taskOf(
  row: Row,
  image: string | Uint8Array,
  ocr?: readonly string[],
): VisualTask<TextVqaAnnotation> {
  const answers = row.texts("answers");
  return {
    id: row.text("question_id"),
    dataset: "textvqa",
    prompt: row.text("question"),
    images: [image],
    answers,
    type: "reading",
    ...(answers.length > 0 && { grade: gradeTextVqa(answers, ocr) }),
    scoring: "vqa",
    annotation: {
      imageId: row.text("image_id"),
      imageClasses: row.texts("image_classes"),
      ...(ocr && { ocr }),
    },
  };
}

/**
 * TextVQA has no grades; this rule gives them from how far its ten annotators agree, normalised as they are scored. Easy:
 * at least eight gave one answer, of one word. Hard: no answer was given by five, or none of the answer's words is among
 * those that the text reader found (where they are at hand). Medium: the rest.
 */
export function gradeTextVqa(annotators: readonly string[], ocr?: readonly string[]): Grade {
  const counts = new Map<string, number>();
  for (const answer of annotators.map(normaliseVqaAnswer)) counts.set(answer, (counts.get(answer) ?? 0) + 1);
  const [answer, agreeing] = [...counts].reduce((most, entry) => (entry[1] > most[1] ? entry : most));
  const words = answer.split(" ");
  const read = new Set(ocr?.map(normaliseVqaAnswer));
  if (agreeing < annotators.length / 2) return "hard";
  if (ocr && !words.some((word) => read.has(word))) return "hard";
  return agreeing >= 0.8 * annotators.length && words.length === 1 ? "easy" : "medium";
}
