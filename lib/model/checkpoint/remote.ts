/** Checkpoints that lie elsewhere. */
import { join } from "node:path";
import type { TaskOptions } from "../../progress.js";
import { isRemote, localCopy } from "../../storage/index.js";
import { isFile, isObject, readJsonObject } from "./files.js";

/** The files of a Hugging Face folder that are read, but for the shards of the weights. */
const FILES = [
  "config.json",
  "generation_config.json",
  "model.safetensors",
  "model.safetensors.index.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.json",
  "chat_template.jinja",
  "preprocessor_config.json",
  "processor_config.json",
  "adapter_config.json",
];

/**
 * A checkpoint's path on this machine: what an `s3://` or `https://` URL of a folder or a .gguf file names is copied
 * into the cache, without the files that are not read. A path is given back as it is.
 * @throws ModalscopeError when it is not there or may not be read
 */
export async function localCheckpoint(
  path: string,
  options: TaskOptions & { cache?: string },
): Promise<string> {
  if (!isRemote(path)) return path;
  if (/\.gguf([?#].*)?$/i.test(path)) return localCopy(path, options);
  const url = path.replace(/\/*$/, "/");
  const folder = await localCopy(url, { ...options, files: FILES });
  const shards = shardsOf(join(folder, "model.safetensors.index.json"));
  if (shards.length > 0 && !isFile(join(folder, "model.safetensors")))
    await localCopy(url, { ...options, files: shards });
  return folder;
}

/** Names of the files that an index places weights in; whether it is sound shows when the folder is opened. */
function shardsOf(index: string): string[] {
  const { weight_map: map } = isFile(index) ? readJsonObject(index) : {};
  const names = isObject(map) ? Object.values(map) : [];
  return [...new Set(names.filter((name) => typeof name === "string" && /^[^/\\]+$/.test(name)))] as string[];
}
