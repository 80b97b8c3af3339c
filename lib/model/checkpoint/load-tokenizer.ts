import { join } from "node:path";
import { ModalscopeError } from "../../errors.js";
import type { Checkpoint } from "./checkpoint.js";
import { isFile, isObject, openFile, readJsonObject, readText, statOf } from "./files.js";
import { readGgufHeader } from "./gguf/header.js";
import { tokenizerOfGguf } from "./gguf/tokenizer.js";
import type { Tokenizer } from "./tokenizer.js";
import type { TokenizerFiles } from "./tokenizer-files.js";
import { markTemplate } from "./tokenizer-files.js";

/** Whether `loadTokenizer` will find one. */
export function hasTokenizer(checkpoint: Checkpoint): boolean {
  if (isFolder(checkpoint.path)) return isFile(join(checkpoint.path, "tokenizer.json"));
  const file = openFile(checkpoint.path);
  try {
    return readGgufHeader(file, false).metadata.has("tokenizer.ggml.model");
  } finally {
    file.close();
  }
}

/**
 * The checkpoint's tokenizer: from tokenizer.json and tokenizer_config.json of a folder, or rebuilt from a GGUF
 * file's vocabulary. Only local files are read.
 *
 * ```ts
 * const tokenizer = await loadTokenizer(checkpoint);
 * tokenizer.encode("What is 17 + 25?");
 * ```
 * @throws ModalscopeError when there is none, or it is of a kind that is not supported
 */
export async function loadTokenizer(checkpoint: Checkpoint): Promise<Tokenizer> {
  const { path } = checkpoint;
  const files = isFolder(path) ? tokenizerOfFolder(path) : readGgufTokenizer(path);
  const { PreTrainedTokenizer } = await import("./pretrained-tokenizer.js");
  try {
    return new PreTrainedTokenizer(files, path);
  } catch (error) {
    throw new ModalscopeError(
      `The tokenizer of ${path} cannot be built:`,
      `${(error as Error).message}.`,
      "Download it again.",
      { cause: error },
    );
  }
}

function isFolder(path: string): boolean {
  return statOf(path)?.isDirectory() ?? false;
}

function readGgufTokenizer(path: string): TokenizerFiles {
  const file = openFile(path);
  try {
    return tokenizerOfGguf(path, readGgufHeader(file, true));
  } finally {
    file.close();
  }
}

function tokenizerOfFolder(path: string): TokenizerFiles {
  const file = join(path, "tokenizer.json");
  if (!isFile(file)) {
    throw new ModalscopeError(
      `${path} has no tokenizer:`,
      "tokenizer.json is missing.",
      "In Python, AutoTokenizer.from_pretrained(folder).save_pretrained(folder) makes it from older files.",
    );
  }
  const json = readJsonObject(file);
  const config = {
    ...optionalJson(path, "special_tokens_map.json"),
    ...optionalJson(path, "tokenizer_config.json"),
  };
  for (const [key, value] of Object.entries(config)) {
    // Tokens may be written as objects; only the text is needed, their options stand in tokenizer.json.
    if (key.endsWith("_token") && isObject(value) && typeof value.content === "string")
      config[key] = value.content;
  }
  // transformers 5 leaves spaces as they are unless told otherwise; the package would clean them up.
  config.clean_up_tokenization_spaces ??= false;
  config.chat_template = chatTemplate(path) ?? config.chat_template;
  return { json: withMarks(json, config), config };
}

function optionalJson(path: string, name: string): Record<string, unknown> {
  const file = join(path, name);
  return isFile(file) ? readJsonObject(file) : {};
}

/** The template in a file of its own, as newer folders have it. */
function chatTemplate(path: string): unknown {
  const file = join(path, "chat_template.jinja");
  return isFile(file) ? readText(file) : optionalJson(path, "chat_template.json").chat_template;
}

/** Applies the configuration's choice of begin and end marks, which overrides tokenizer.json. */
function withMarks(json: Record<string, unknown>, config: Record<string, unknown>): Record<string, unknown> {
  const { add_bos_token: begin, add_eos_token: end, bos_token, eos_token } = config;
  if (typeof begin !== "boolean" && typeof end !== "boolean") return json;
  return {
    ...json,
    post_processor: markTemplate(
      begin && typeof bos_token === "string" ? bos_token : undefined,
      end && typeof eos_token === "string" ? eos_token : undefined,
    ),
  };
}
