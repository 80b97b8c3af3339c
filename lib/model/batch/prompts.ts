/** From prompts, with or without images, to a batch of token ids. */
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
import { checkPrompt } from "./check-prompt.js";
import { mropePositionIds } from "./mrope.js";

/** A part of a message: text, or an image (a path, a data URL, the bytes of a file, or RGB values). */
export type PromptPart =
  | {
      readonly type: "text";
      readonly text: string;
      /**
       * Text in an image's place, which the batch knows as its `passage`: a space parts it from the text after it.
       */
      readonly standsForImage?: boolean;
    }
  | { readonly type: "image"; readonly image: ImageSource };

/** One message of a conversation. */
export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string | readonly PromptPart[];
}

/** Text as it is, with the family's placeholder (LLaVA's `<image>`) wherever an image belongs. */
export interface ImagePrompt {
  readonly text: string;
  readonly images: readonly ImageSource[];
}

export type Prompt = string | ImagePrompt | readonly Message[];

/** The part of a model that prompts depend on. */
export interface PromptModel {
  readonly checkpoint: Checkpoint;
  readonly config: TextConfig;
}

/** Tokenizer and image processor that prompts are read with. */
export interface PromptReader {
  readonly tokenizer: Tokenizer;
  /** The checkpoint's image processor; made only when there is an image. */
  readonly imageProcessor: () => ImageProcessor;
}

export interface PrepareOptions extends PadOptions {
  /** Fields of preprocessor_config.json to take instead of the checkpoint's: `{ do_pan_and_scan: true }`. */
  readonly imageProcessor?: Readonly<Record<string, unknown>>;
}

/**
 * Image processor of a checkpoint's folder.
 * @throws ModalscopeError when the model is text-only, or its files do not describe an image processor
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

/** A prompt as text, with its processed images and the spans of its passage, its question and its answer. */
interface RenderedPrompt {
  readonly text: string;
  readonly images: readonly ProcessedImage[];
  /** True where the tokenizer adds the special tokens. */
  readonly addSpecial: boolean;
  readonly question: readonly Span[] | "everything";
  readonly passage: readonly Span[];
  readonly answer: readonly Span[];
}

/** A prompt with its token ids. */
interface TokenizedPrompt extends RenderedPrompt {
  readonly ids: readonly number[];
}

/** Characters from the first up to, not including, the second. */
type Span = readonly [from: number, to: number];

/**
 * Tokenizes prompts and pads them to one length.
 * @throws ModalscopeError for a broken image, an image without a place in the text or the reverse, an empty batch
 */
export async function readPrompts(
  model: PromptModel,
  reader: PromptReader,
  prompts: readonly Prompt[],
  options: PadOptions,
): Promise<Batch> {
  const { tokenizer } = reader;
  const rendered: RenderedPrompt[] = [];
  for (const [row, prompt] of prompts.entries()) checkPrompt(prompt, row);
  const fill = templateFiller(tokenizer, model.config.vision_config !== undefined);
  for (const prompt of prompts) rendered.push(await renderPrompt(model, reader, prompt, fill));
  const encoded = encodeAll(tokenizer, rendered);
  const written = rendered.map((prompt, row): TokenizedPrompt => ({ ...prompt, ids: encoded[row] }));
  const batch = padTokens(
    written.map(({ ids }) => ids),
    options,
  );
  const images = written.flatMap((w, row) => placeImages(model, batch, row, w.images));
  const special = new Set(tokenizer.all_special_ids);
  const token = model.config.vision_config?.image_token_id;
  const idAt = (row: number, column: number): number => batch.inputIds[row * batch.seqLength + column];
  const columns = (keep: (id: number) => boolean): number[][] =>
    batch.tokenPositions.map((own, row) => own.filter((c) => keep(idAt(row, c))));
  const text = columns((id) => id !== token && !special.has(id));
  const before = tokensBeforeSpans(tokenizer, written);
  /** The columns whose tokens lie inside spans of the text. A token that reaches out of its span is left out. */
  const inside = (row: number, spans: readonly Span[]): number[] =>
    spans.flatMap(([from, to]) =>
      batch.tokenPositions[row].slice(before[row].get(from), before[row].get(to)),
    );
  const withImages = images.length > 0 ? { images, ...mropePositionIds(model.config, batch, images) } : {};
  return {
    ...batch,
    ...withImages,
    visual: batch.tokenPositions.map((_, row) =>
      images.filter((i) => i.row === row).flatMap((i) => [...i.positions]),
    ),
    special: columns((id) => id !== token && special.has(id)),
    question: written.map(({ question }, row) =>
      question === "everything" ? text[row] : inside(row, question),
    ),
    passage: written.map(({ passage }, row) => inside(row, passage)),
    answer: written.map(({ answer }, row) => inside(row, answer)),
  };
}

async function renderPrompt(
  model: PromptModel,
  reader: PromptReader,
  prompt: Prompt,
  fill: (messages: readonly Message[]) => string,
): Promise<RenderedPrompt> {
  if (typeof prompt === "string" || "text" in prompt) {
    const given = typeof prompt === "string" ? { text: prompt, images: [] } : prompt;
    const images = await processImages(reader, given.images);
    const text = expandImages(model, given.text, images);
    const addSpecial = !model.config.vision_config || addsSpecial(model, reader.tokenizer, text);
    return { text, images, addSpecial, question: "everything", passage: [], answer: [] };
  }
  const parts = prompt.map((m): readonly PromptPart[] =>
    typeof m.content === "string" ? [{ type: "text", text: m.content }] : m.content,
  );
  const sources = parts.flat().flatMap((p) => (p.type === "image" ? [p.image] : []));
  const images = await processImages(reader, sources);
  const answered = prompt[prompt.length - 1]?.role === "assistant";
  const text = expandImages(model, fill(prompt), images);
  const found = (turn: number, end: number): (Span | undefined)[] =>
    turn < 0
      ? []
      : findSpans(
          text,
          textParts(parts[turn]).map(({ text: one }) => one.trim()),
          end,
        );
  const answer = answered ? found(parts.length - 1, text.length).filter(isFound) : [];
  const user = prompt.findLastIndex(({ role }) => role === "user");
  const asked = found(user, answer[0]?.[0] ?? text.length);
  const stands = (parts[user] ? textParts(parts[user]) : []).map(
    ({ standsForImage }) => standsForImage === true,
  );
  return {
    text,
    images,
    addSpecial: addsSpecial(model, reader.tokenizer, text),
    question: asked.filter((_, i) => !stands[i]).filter(isFound),
    passage: asked.filter((_, i) => stands[i]).filter(isFound),
    answer,
  };
}

const isFound = (span: Span | undefined): span is Span => span !== undefined;

/** Language models' templates write all special tokens; those of vision-language models may leave the first one out. */
function addsSpecial({ config }: PromptModel, { bos_token }: Tokenizer, text: string): boolean {
  return config.vision_config !== undefined && !(bos_token && text.startsWith(bos_token));
}

type TextPart = Extract<PromptPart, { type: "text" }>;

const textParts = (parts: readonly PromptPart[]): TextPart[] => parts.filter((p) => p.type === "text");

async function processImages(
  reader: PromptReader,
  sources: readonly ImageSource[],
): Promise<ProcessedImage[]> {
  if (sources.length === 0) return [];
  const processor = reader.imageProcessor();
  const images: ProcessedImage[] = [];
  for (const source of sources) images.push(processor.process(await decodeImage(source)));
  return images;
}

/**
 * A conversation as text: the chat template writes what the family puts where an image belongs.
 * @param hasVision whether the template knows of parts: those of language models take strings, and would write JSON
 */
export function fillTemplate(tokenizer: Tokenizer, messages: readonly Message[], hasVision: boolean): string {
  return templateFiller(tokenizer, hasVision)(messages);
}

/** Conversations as text: those that differ in their images alone are written once. */
function templateFiller(tokenizer: Tokenizer, hasVision: boolean): (messages: readonly Message[]) => string {
  const known = new Map<string, string>();
  return (messages) => {
    const add_generation_prompt = messages[messages.length - 1]?.role !== "assistant";
    const bare = withoutImages(messages, hasVision);
    const key = JSON.stringify(bare);
    const text =
      known.get(key) ?? tokenizer.apply_chat_template(bare, { tokenize: false, add_generation_prompt });
    known.set(key, text);
    return text;
  };
}

/** Messages as templates take them: an image is a part that says that there is one. */
function withoutImages(
  messages: readonly Message[],
  hasVision: boolean,
): { role: string; content: string | object[] }[] {
  const written = (given: readonly PromptPart[]): string | object[] => {
    const parts = withoutPassages(given);
    return !hasVision && parts.every(({ type }) => type === "text")
      ? parts.map((p) => (p.type === "text" ? p.text : "")).join("")
      : parts.map((p) => (p.type === "image" ? { type: "image" } : p));
  };
  return messages.map(({ role, content }) => ({
    role,
    content: typeof content === "string" ? content : written(content),
  }));
}

/** Texts in an image's place, each one text with the one after it: templates know of no such parts. */
function withoutPassages(parts: readonly PromptPart[]): PromptPart[] {
  const written: PromptPart[] = [];
  let passage = "";
  for (const [i, part] of parts.entries()) {
    if (part.type === "image") written.push(part);
    else if (part.standsForImage && parts[i + 1]?.type === "text") passage += `${part.text} `;
    else {
      written.push({ type: "text", text: passage + part.text });
      passage = "";
    }
  }
  return written;
}

function expandImages(
  { checkpoint, config }: PromptModel,
  text: string,
  images: readonly ProcessedImage[],
): string {
  return config.vision_config ? expandPrompt(checkpoint.modelType, text, images) : text;
}

/** Token ids of texts, with the special tokens that the tokenizer adds or without; equal texts are read once. */
function encodeAll(
  tokenizer: Tokenizer,
  texts: readonly { readonly text: string; readonly addSpecial: boolean }[],
): number[][] {
  const found: number[][] = [];
  for (const add_special_tokens of [true, false]) {
    const own = [...texts.keys()].filter((i) => texts[i].addSpecial === add_special_tokens);
    const distinct = [...new Set(own.map((i) => texts[i].text))];
    const encoded = tokenizer.encodeBatch(distinct, { add_special_tokens });
    const ids = new Map(distinct.map((text, n) => [text, encoded[n]]));
    for (const i of own) found[i] = ids.get(texts[i].text)!;
  }
  return found;
}

/** Token ids of a text. */
export function encode(tokenizer: Tokenizer, text: string, add_special_tokens: boolean): number[] {
  return Array.from(tokenizer.encode(text, { add_special_tokens }), Number);
}

/** The last places of texts that follow each other, all before `end`; undefined for one that is not there. */
function findSpans(text: string, wanted: readonly string[], end: number): (Span | undefined)[] {
  let before = end;
  return [...wanted]
    .reverse()
    .map((part): Span | undefined => {
      const at = part === "" ? -1 : text.lastIndexOf(part, before - part.length);
      if (at < 0) return undefined;
      before = at;
      return [at, at + part.length];
    })
    .reverse();
}

/** For each prompt, by the places where its spans begin and end: how many of its tokens end before. */
function tokensBeforeSpans(tokenizer: Tokenizer, prompts: readonly TokenizedPrompt[]): Map<number, number>[] {
  const ends = prompts.map(({ question, passage, answer }) => [
    ...new Set([...(question === "everything" ? [] : question), ...passage, ...answer].flat()),
  ]);
  const encoded = encodeAll(
    tokenizer,
    prompts.flatMap(({ text, addSpecial }, row) =>
      ends[row].map((end) => ({ text: text.slice(0, end), addSpecial })),
    ),
  );
  let next = 0;
  return prompts.map(
    ({ ids }, row) => new Map(ends[row].map((end) => [end, sharedStart(encoded[next++], ids)])),
  );
}

/** Number of ids that two lists begin with alike. */
function sharedStart(a: readonly number[], b: readonly number[]): number {
  const differs = a.findIndex((id, i) => id !== b[i]);
  return differs < 0 ? Math.min(a.length, b.length) : differs;
}

/** The columns of each image of a row: its share of the row's image tokens, in order. */
function placeImages(
  model: PromptModel,
  batch: Batch,
  row: number,
  images: readonly ProcessedImage[],
): BatchImage[] {
  const token = model.config.vision_config?.image_token_id;
  const places = batch.tokenPositions[row].filter((c) => batch.inputIds[row * batch.seqLength + c] === token);
  const needed = images.reduce((n, image) => n + image.tokens.length, 0);
  if (places.length !== needed) {
    throw new ModalscopeError(
      `Prompt ${row} has ${places.length} image tokens, and its ${images.length} images need ${needed}.`,
      images.length === 0
        ? "An image token needs an image."
        : `config.json gives them the id ${token}; the tokenizer gives another, or reads the token in parts.`,
      images.length === 0
        ? "Give { text, images } or a message with an image part."
        : 'Take config.json and tokenizer.json from one checkpoint, or correct "image_token_id" in config.json.',
    );
  }
  let at = 0;
  return images.map((image) => {
    const columns = places.slice(at, at + image.tokens.length);
    at += image.tokens.length;
    return { row, image, positions: columns };
  });
}
