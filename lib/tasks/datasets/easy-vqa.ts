import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ModalscopeError } from "../../errors.js";
import { checkOptions } from "../../options.js";
import { localCopy } from "../../storage/index.js";
import type { VisualTask } from "../visual-task.js";
import { DATASET_OPTIONS, type DatasetOptions, findFile, range, readJson } from "./files.js";

/** Fields of easy-VQA beside question and answer. */
export interface EasyVqaAnnotation {
  readonly imageId: number;
}

const FROM =
  "the folder easy_vqa of the Python package easy-vqa (pip download easy-vqa --no-deps, then unzip it).";

/** The data folder of the package: given itself, or within the package's folder, or within the unpacked archive. */
const at = (name: string): string[] => [name, `data/${name}`, `easy_vqa/data/${name}`];

/**
 * easy-VQA (https://github.com/vzhou842/easy-VQA): one coloured shape on an image of 64×64, asked about. The package's
 * folder, with `data/<split>/questions.json` and `data/<split>/images/`.
 * @param options `split` is `test` unless given; the other is `train`.
 * @throws ModalscopeError when files are missing or a question is not `[text, answer, image id]`
 */
export async function loadEasyVqa(
  pathOrUrl: string,
  options: DatasetOptions = {},
): Promise<VisualTask<EasyVqaAnnotation>[]> {
  checkOptions("loadEasyVqa", options, DATASET_OPTIONS);
  const path = await localCopy(pathOrUrl);
  const { split = "test" } = options;
  const file = findFile("easy-VQA", path, at(`${split}/questions.json`), FROM);
  const images = findFile("easy-VQA", join(file, ".."), ["images"], FROM);
  const questions = readJson(file);
  if (!Array.isArray(questions) || !questions.every(isQuestion)) {
    throw new ModalscopeError(
      `"${file}" is not easy-VQA's list of questions.`,
      "Each is a list of its text, its answer and its image's number.",
      `Give ${FROM}`,
    );
  }
  const tasks = questions.map(
    ([prompt, answer, imageId], i): VisualTask<EasyVqaAnnotation> => ({
      id: `${split}-${i}`,
      dataset: "easy-vqa",
      prompt,
      images: [join(images, `${imageId}.png`)],
      answers: [answer],
      type: typeOf(answer),
      scoring: "exact",
      annotation: { imageId },
    }),
  );
  return range(tasks, options);
}

/** The thirteen answers, in the package's order. */
export function easyVqaAnswers(path: string): string[] {
  return readFileSync(findFile("easy-VQA", path, at("answers.txt"), FROM), "utf8")
    .split(/\r?\n/)
    .filter(Boolean);
}

const isQuestion = (value: unknown): value is [string, string, number] =>
  Array.isArray(value) &&
  typeof value[0] === "string" &&
  typeof value[1] === "string" &&
  Number.isInteger(value[2]);

const SHAPES = ["circle", "rectangle", "triangle"];

const typeOf = (answer: string): string =>
  answer === "yes" || answer === "no" ? "yes-no" : SHAPES.includes(answer) ? "shape" : "color";
