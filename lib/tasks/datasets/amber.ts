import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ModalscopeError } from "../../errors.js";
import { checkOptions } from "../../options.js";
import { localCopy } from "../../storage/index.js";
import type { AmberAnnotation, AmberWords } from "../scoring/amber.js";
import type { VisualTask } from "../visual-task.js";
import { type DatasetOptions, findFile, RANGE_OPTIONS, range, readJson, rowsIn } from "./files.js";

const FROM = "https://github.com/junyangwang0410/AMBER, with its images (a separate download) in image/.";

/**
 * The generative part of AMBER (https://arxiv.org/abs/2311.07397): the repository's folder, with
 * `data/query/query_generative.json`, `data/annotations.json` and the images in `image/`.
 * @throws ModalscopeError when files or fields are missing
 */
export async function loadAmber(
  pathOrUrl: string,
  options: Omit<DatasetOptions, "split"> = {},
): Promise<VisualTask<AmberAnnotation>[]> {
  checkOptions("loadAmber", options, RANGE_OPTIONS);
  const path = await localCopy(pathOrUrl);
  const queries = findFile("AMBER", path, ["data/query/query_generative.json"], FROM);
  const annotations = findFile("AMBER", path, ["data/annotations.json"], FROM);
  const images = findFile("AMBER", path, ["image", "images"], FROM);
  const known = new Map(
    rowsIn(annotations)
      .filter((row) => row.text("type") === "generative")
      .map((row) => [row.text("id"), { truth: row.texts("truth"), hallu: row.texts("hallu") }]),
  );
  return range(rowsIn(queries), options).map((row) => {
    const id = row.text("id");
    const annotation = known.get(id);
    if (annotation === undefined) {
      throw new ModalscopeError(
        `AMBER's image ${id} has no annotation.`,
        `"${annotations}" has ${known.size} of descriptions.`,
        "Take both files from one version of the repository.",
      );
    }
    return {
      id,
      dataset: "amber",
      prompt: row.text("query"),
      images: [join(images, row.text("image"))],
      answers: [],
      type: "generative",
      scoring: "amber",
      annotation,
    };
  });
}

/** AMBER's nouns and safe words, `data/relation.json` and `data/safe_words.txt`, for `amberScores`. */
export function loadAmberWords(path: string): AmberWords {
  const relation = findFile("AMBER", path, ["data/relation.json"], FROM);
  const safe = findFile("AMBER", path, ["data/safe_words.txt"], FROM);
  return {
    association: readJson(relation) as Record<string, string[]>,
    safe: readFileSync(safe, "utf8").split(/\r?\n/).filter(Boolean),
  };
}
