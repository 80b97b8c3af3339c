/** Errors for folders and files that are no checkpoint, or not yet one, with what they most likely are. */
import { readdirSync, readlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { ModalscopeError } from "../../errors.js";
import { isFile, statOf } from "./files.js";

/** A folder without config.json. */
export function noConfig(path: string): ModalscopeError {
  const names = readdirSync(path).sort();
  const refused = (reason: string, hint: string): ModalscopeError =>
    new ModalscopeError(`${path} is not a Hugging Face checkpoint:`, `it has no config.json${reason}.`, hint);
  if (names.includes("adapter_config.json"))
    return refused(
      " but adapter_config.json: it holds an adapter, not the model that it adapts",
      "Merge them in Python, PeftModel.from_pretrained(model, folder).merge_and_unload().save_pretrained(merged), and give that folder.",
    );
  const inside = foldersInside(path, names).filter((folder) => isFile(join(folder, "config.json")));
  if (inside.length > 0) return refused(", and a folder in it has one", `Give ${either(inside)}.`);
  const ggufs = names.filter((name) => /\.gguf$/i.test(name)).map((name) => join(path, name));
  if (ggufs.length > 0) return refused(", but a GGUF file", `Give the file: ${either(ggufs)}.`);
  return refused("", "Give the folder that holds config.json and model.safetensors, or a .gguf file.");
}

/** A trainer's checkpoint-500, or a snapshot in the Hub's cache. */
function foldersInside(path: string, names: readonly string[]): string[] {
  const snapshots = names.includes("snapshots") ? join(path, "snapshots") : undefined;
  const deeper = snapshots && statOf(snapshots)?.isDirectory() ? readdirSync(snapshots).sort() : [];
  return [
    ...names.map((name) => join(path, name)),
    ...deeper.map((name) => join(path, "snapshots", name)),
  ].filter((folder) => statOf(folder)?.isDirectory());
}

const MOST_NAMED = 3;

function either(paths: readonly string[]): string {
  return paths.length > MOST_NAMED
    ? `${paths.slice(0, MOST_NAMED).join(", ")} or another`
    : paths.join(" or ");
}

/** A folder with a config.json and no safetensors under the names of Hugging Face's libraries. */
export function noWeights(path: string): ModalscopeError {
  const names = readdirSync(path).sort();
  const refused = (found: string, hint: string): ModalscopeError =>
    new ModalscopeError(
      `${path} has no weights:`,
      `neither model.safetensors nor model.safetensors.index.json is there.${found}`,
      hint,
    );
  const dangling = names.find(
    (name) => name.endsWith(".safetensors") && statOf(join(path, name)) === undefined,
  );
  if (dangling)
    return refused(
      ` ${dangling} is a link to ${readlinkSync(join(path, dangling))}, where nothing is.`,
      "The Hub's cache links to its folder blobs: copy it as a whole, or with cp -L, or download it again.",
    );
  const noFile = names.find((name) => name.endsWith(".safetensors") && !isFile(join(path, name)));
  if (noFile) {
    const what = statOf(join(path, noFile))?.isDirectory() ? "a folder" : "no file";
    return refused(
      ` ${noFile} is ${what}.`,
      "Put the file of that name into its place, or download it again.",
    );
  }
  const pickled = names.find((name) => /\.(bin|pt|pth)$/.test(name));
  if (pickled)
    return refused(
      ` It has ${pickled}, a format that can run code when read.`,
      "Convert it in Python: AutoModel….from_pretrained(folder).save_pretrained(folder).",
    );
  const unfinished = names.find((name) => /\.(incomplete|part|partial|tmp|aria2|crdownload)$/.test(name));
  if (unfinished) return refused(` The download of ${unfinished} has not ended.`, "Download it again.");
  const shard = names.find((name) => /-of-(?!0*1\.)\d+\.safetensors$/.test(name));
  if (shard)
    return refused(
      ` It has ${shard}, one of several files of weights.`,
      "Download their index, model.safetensors.index.json, and the shards that are missing.",
    );
  const named = names.find((name) => name.endsWith(".safetensors"));
  if (named)
    return refused(` It has ${named}.`, "If that is all of the model, rename it to model.safetensors.");
  return refused("", "Download the missing files.");
}

/** A file of a folder, in place of the folder. */
export function oneFileOf(path: string): ModalscopeError {
  return new ModalscopeError(
    `${path} is one file of a checkpoint.`,
    "",
    `Give its folder: ${dirname(path)}.`,
  );
}
