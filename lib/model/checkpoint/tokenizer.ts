import { join } from "node:path";
import type { PreTrainedTokenizer } from "@huggingface/transformers";
import { ModalscopeError } from "../../errors.js";
import { BoundedTemplate } from "./chat-template.js";
import type { Checkpoint } from "./checkpoint.js";
import { isFile, isObject, openFile, readJsonObject, readText, statOf } from "./files.js";
import { readGgufHeader } from "./gguf/header.js";
import { tokenizerOfGguf } from "./gguf/tokenizer.js";
import type { TokenizerFiles } from "./tokenizer-files.js";
import { markTemplate } from "./tokenizer-files.js";
import { withinTime } from "./within-time.js";

/**
 * Interface of a tokenizer: the core of `PreTrainedTokenizer` of @huggingface/transformers, which it is and
 * may be cast to. That class's own declarations would add a thousand files to every notebook that imports
 * this package.
 */
export interface Tokenizer {
  encode(text: string, options?: { add_special_tokens?: boolean; text_pair?: string | null }): number[];
  decode(
    ids: number[] | bigint[],
    options?: { skip_special_tokens?: boolean; clean_up_tokenization_spaces?: boolean },
  ): string;
  /** The text of a conversation with `tokenize: false`, else its token ids (with `return_tensor` and `return_dict` false). */
  apply_chat_template(
    conversation: readonly { role: string; content: unknown }[],
    options?: {
      chat_template?: string | null;
      tokenize?: boolean;
      add_generation_prompt?: boolean;
      return_tensor?: boolean;
      return_dict?: boolean;
    } & Record<string, unknown>,
  ): unknown;
  /** A Jinja template, several by name, or null when the model was not made for conversations. */
  readonly chat_template: unknown;
  readonly all_special_ids: number[];
  readonly all_special_tokens: string[];
  readonly bos_token: string;
  readonly bos_token_id: number;
  readonly eos_token: string;
  readonly eos_token_id: number;
  readonly pad_token: string;
  readonly pad_token_id: number;
  readonly unk_token: string;
  readonly unk_token_id: number;
}

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
 * The checkpoint's tokenizer, as a class of @huggingface/transformers: from tokenizer.json and
 * tokenizer_config.json of a folder, or rebuilt from a GGUF file's vocabulary. Only local files are read.
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
  const transformers = await import("@huggingface/transformers");
  const name = String(files.config.tokenizer_class ?? "").replace(/Fast$/, "");
  const base: TokenizerClass = transformers.PreTrainedTokenizer;
  const named = (transformers as unknown as Record<string, unknown>)[name];
  const Chosen = isTokenizerClass(named, base) ? named : base;
  try {
    return bounded(new Chosen(files.json, files.config) as unknown as Tokenizer, path);
  } catch (error) {
    throw new ModalscopeError(
      `The tokenizer of ${path} cannot be built:`,
      `${(error as Error).message}.`,
      "Download it again.",
      { cause: error },
    );
  }
}

/** Time for a text, in milliseconds: a hundred times what usual tokenizers take, and never less than five seconds. */
const timeFor = (length: number): number => 5000 + length / 10;

/** The same tokenizer, whose chat template and regular expressions come from a file and therefore have limits. */
function bounded(tokenizer: Tokenizer, path: string): Tokenizer {
  const templates = new Map<string, BoundedTemplate>();
  // transformers.js looks its compiled templates up here, and compiles one only where there is none.
  Object.assign(tokenizer, {
    _compiled_template_cache: {
      get(text: string): BoundedTemplate {
        const template = templates.get(text) ?? new BoundedTemplate(text, path);
        templates.set(text, template);
        return template;
      },
    },
  });
  const { encode, decode } = tokenizer;
  const what = `The tokenizer of ${path}`;
  return Object.assign(tokenizer, {
    encode: (...given: Parameters<Tokenizer["encode"]>) =>
      withinTime(timeFor(given[0].length), what, () => encode.apply(tokenizer, given)),
    decode: (...given: Parameters<Tokenizer["decode"]>) =>
      withinTime(timeFor(given[0].length), what, () => decode.apply(tokenizer, given)),
  });
}

type TokenizerClass = new (json: object, config: object) => PreTrainedTokenizer;

function isTokenizerClass(value: unknown, base: TokenizerClass): value is TokenizerClass {
  return typeof value === "function" && value.prototype instanceof base;
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
