/** From prompts, with or without pictures, to a batch of token ids. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ModalscopeError } from "../../errors.js";
import { type Checkpoint, readJsonObject, type Tokenizer } from "../checkpoint/index.js";
import type { TextConfig } from "../families/index.js";
import {
  decodeImage,
  expandPrompt,
  type ImageProcessor,
  type ImageSource,
  imageProcessor,
  type ProcessedImage,
} from "../images/index.js";
import { type Batch, type BatchImage, type PadOptions, padTokens } from "./batch.js";
import { mropePositions } from "./mrope.js";

/** A part of a message: text, or a picture (a path, a data URL, the bytes of a file, or RGB values). */
export type PromptPart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image"; readonly image: ImageSource };

/** One message of a conversation. */
export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string | readonly PromptPart[];
}

/** Text as it is, with the family's placeholder (LLaVA's `<image>`) wherever a picture belongs. */
export interface PicturePrompt {
  readonly text: string;
  readonly images: readonly ImageSource[];
}

export type Prompt = string | PicturePrompt | readonly Message[];

/** The part of a model that prompts depend on. */
export interface PromptModel {
  readonly checkpoint: Checkpoint;
  readonly config: TextConfig;
}

/** What prompts are read with. */
export interface Reader {
  readonly tokenizer: Tokenizer;
  /** How the checkpoint's pictures become numbers; asked for only when there is a picture. */
  readonly images: () => ImageProcessor;
}

export interface PrepareOptions extends PadOptions {
  /** Fields of preprocessor_config.json to take instead of the checkpoint's: `{ do_pan_and_scan: true }`. */
  readonly images?: Readonly<Record<string, unknown>>;
}

/**
 * How a folder's pictures are prepared.
 * @throws ModalscopeError when the model does not see, or its files do not say how
 */
export function processorOf(
  { path, modelType, config }: Checkpoint,
  overrides: Readonly<Record<string, unknown>> = {},
): ImageProcessor {
  const read = (name: string): object | undefined => {
    const file = join(path, name);
    return existsSync(file) ? readJsonObject(file) : undefined;
  };
  return imageProcessor(modelType, {
    config,
    preprocessor: read("preprocessor_config.json"),
    processor: read("processor_config.json"),
    overrides,
  });
}

/** A prompt as text, its pictures in numbers, and where in the text its question and its answer stand. */
interface Written {
  readonly text: string;
  readonly images: readonly ProcessedImage[];
  /** Whether the tokenizer adds the special tokens. */
  readonly addSpecial: boolean;
  readonly question: readonly Span[] | "everything";
  readonly answer: readonly Span[];
}

/** Characters from the first up to, not including, the second. */
type Span = readonly [from: number, to: number];

/**
 * Tokenises prompts and lines them up.
 * @throws ModalscopeError for a broken picture, a picture without a place in the text or the reverse, an empty batch
 */
export async function readPrompts(
  model: PromptModel,
  reader: Reader,
  prompts: readonly Prompt[],
  options: PadOptions,
): Promise<Batch> {
  const written: Written[] = [];
  for (const prompt of prompts) written.push(await write(model, reader, prompt));
  const rows = written.map((w) => encode(reader.tokenizer, w.text, w.addSpecial));
  const batch = padTokens(rows, options);
  const images = written.flatMap((w, row) => placeImages(model, batch, row, w.images));
  const special = new Set(reader.tokenizer.all_special_ids);
  const token = model.config.vision_config?.image_token_id;
  const idAt = (row: number, column: number): number => batch.ids[row * batch.time + column];
  const columns = (keep: (id: number) => boolean): number[][] =>
    batch.columns.map((own, row) => own.filter((c) => keep(idAt(row, c))));
  const text = columns((id) => id !== token && !special.has(id));
  const seen = images.length > 0 ? { images, ...mropePositions(model.config, batch, images) } : {};
  return {
    ...batch,
    ...seen,
    visual: batch.columns.map((_, row) => images.filter((i) => i.row === row).flatMap((i) => [...i.columns])),
    special: columns((id) => id !== token && special.has(id)),
    question: written.map((w, row) =>
      w.question === "everything"
        ? text[row]
        : columnsIn(reader.tokenizer, batch, row, w, w.question, rows[row]),
    ),
    answer: written.map((w, row) => columnsIn(reader.tokenizer, batch, row, w, w.answer, rows[row])),
  };
}

async function write(model: PromptModel, reader: Reader, prompt: Prompt): Promise<Written> {
  if (typeof prompt === "string" || "text" in prompt) {
    const given = typeof prompt === "string" ? { text: prompt, images: [] } : prompt;
    const images = await look(reader, given.images);
    const text = expanded(model, given.text, images);
    const addSpecial = !model.config.vision_config || addsSpecial(model, reader.tokenizer, text);
    return { text, images, addSpecial, question: "everything", answer: [] };
  }
  const parts = prompt.map((m): readonly PromptPart[] =>
    typeof m.content === "string" ? [{ type: "text", text: m.content }] : m.content,
  );
  const sources = parts.flat().flatMap((p) => (p.type === "image" ? [p.image] : []));
  const images = await look(reader, sources);
  const answered = prompt[prompt.length - 1]?.role === "assistant";
  const text = expanded(
    model,
    fillTemplate(reader.tokenizer, prompt, model.config.vision_config !== undefined),
    images,
  );
  const answer = answered ? find(text, texts(parts[parts.length - 1]), text.length) : [];
  const user = prompt.findLastIndex(({ role }) => role === "user");
  const question = user < 0 ? [] : find(text, texts(parts[user]), answer[0]?.[0] ?? text.length);
  return { text, images, addSpecial: addsSpecial(model, reader.tokenizer, text), question, answer };
}

/** Language models' templates write all special tokens; those of models that see may leave the first one out. */
function addsSpecial({ config }: PromptModel, { bos_token }: Tokenizer, text: string): boolean {
  return config.vision_config !== undefined && !(bos_token && text.startsWith(bos_token));
}

function texts(parts: readonly PromptPart[]): string[] {
  return parts.flatMap((p) => (p.type === "text" ? [p.text.trim()] : []));
}

async function look(reader: Reader, sources: readonly ImageSource[]): Promise<ProcessedImage[]> {
  if (sources.length === 0) return [];
  const processor = reader.images();
  const images: ProcessedImage[] = [];
  for (const source of sources) images.push(processor.process(await decodeImage(source)));
  return images;
}

/**
 * A conversation as text: the chat template writes what the family puts where a picture belongs.
 * @param sees whether the template knows of parts: those of language models take strings, and would write JSON
 */
export function fillTemplate(tokenizer: Tokenizer, messages: readonly Message[], sees: boolean): string {
  const add_generation_prompt = messages[messages.length - 1]?.role !== "assistant";
  const written = (parts: readonly PromptPart[]): string | object[] =>
    !sees && parts.every(({ type }) => type === "text")
      ? parts.map((p) => (p.type === "text" ? p.text : "")).join("")
      : parts.map((p) => (p.type === "image" ? { type: "image" } : p));
  const bare = messages.map(({ role, content }) => ({
    role,
    content: typeof content === "string" ? content : written(content),
  }));
  return tokenizer.apply_chat_template(bare, { tokenize: false, add_generation_prompt }) as string;
}

function expanded(
  { checkpoint, config }: PromptModel,
  text: string,
  images: readonly ProcessedImage[],
): string {
  return config.vision_config ? expandPrompt(checkpoint.modelType, text, images) : text;
}

/** Token ids of a text. */
export function encode(tokenizer: Tokenizer, text: string, add_special_tokens: boolean): number[] {
  return Array.from(tokenizer.encode(text, { add_special_tokens }), Number);
}

/** The last places of texts that follow each other, all before `end`. */
function find(text: string, wanted: readonly string[], end: number): Span[] {
  const spans: Span[] = [];
  let before = end;
  for (const part of [...wanted].reverse()) {
    const at = part === "" ? -1 : text.lastIndexOf(part, before - part.length);
    if (at < 0) continue;
    spans.unshift([at, at + part.length]);
    before = at;
  }
  return spans;
}

/** The columns whose tokens lie inside spans of the text. A token that reaches out of its span is left out. */
function columnsIn(
  tokenizer: Tokenizer,
  batch: Batch,
  row: number,
  { text, addSpecial }: Written,
  spans: readonly Span[],
  ids: readonly number[],
): number[] {
  const tokensBefore = (end: number): number => {
    const own = encode(tokenizer, text.slice(0, end), addSpecial);
    const differs = own.findIndex((id, i) => id !== ids[i]);
    return differs < 0 ? Math.min(own.length, ids.length) : differs;
  };
  return spans.flatMap(([from, to]) => batch.columns[row].slice(tokensBefore(from), tokensBefore(to)));
}

/** The columns of each picture of a row: its share of the row's image tokens, in order. */
function placeImages(
  model: PromptModel,
  batch: Batch,
  row: number,
  images: readonly ProcessedImage[],
): BatchImage[] {
  const token = model.config.vision_config?.image_token_id;
  const places = batch.columns[row].filter((c) => batch.ids[row * batch.time + c] === token);
  const needed = images.reduce((n, image) => n + image.tokens.length, 0);
  if (places.length !== needed) {
    throw new ModalscopeError(
      `Prompt ${row} has ${places.length} image tokens, and its ${images.length} pictures need ${needed}.`,
      images.length === 0
        ? "An image token needs a picture."
        : "The tokenizer does not read the family's image token as one id.",
      images.length === 0 ? "Give { text, images } or a message with an image part." : "",
    );
  }
  let at = 0;
  return images.map((image) => {
    const columns = places.slice(at, at + image.tokens.length);
    at += image.tokens.length;
    return { row, image, columns };
  });
}
