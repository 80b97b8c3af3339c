import { ModalscopeError } from "../errors.js";
import { checkOptions, flag, type OptionChecks, record } from "../options.js";
import type { Tensor } from "../tensor.js";
import {
  type Batch,
  checkPrompt,
  encode,
  fillTemplate,
  isPrompt,
  PAD_OPTIONS,
  type PadOptions,
  type PrepareOptions,
  type Prompt,
  padTokens,
  processorOf,
  readPrompts,
} from "./batch/index.js";
import type { Checkpoint, Tokenizer } from "./checkpoint/index.js";
import { type Engine, weightTensor } from "./engine/index.js";
import type { TextConfig } from "./families/index.js";
import {
  checkGenerateOptions,
  checkRunOptions,
  endTokenIds,
  type Generated,
  type GenerateOptions,
  generate,
  prepareRun,
  type RunOptions,
  type RunResult,
  run,
  warnOfUnusedFields,
} from "./forward/index.js";

/** A checkpoint that can be run, looked into and changed anywhere inside. Made by `loadModel`. */
export class Model {
  /** @internal */
  constructor(
    /** @internal What the functions of this folder work on; it is left out of the published declarations. */
    readonly engine: Engine,
    readonly tokenizer: Tokenizer | undefined,
    /** Folder or file that the checkpoint was loaded from. */
    readonly path: string,
  ) {}

  /** The files that it was loaded from: the raw config and every weight by its name. */
  get checkpoint(): Checkpoint {
    return this.engine.checkpoint;
  }

  /** True where all blocks stay in memory; otherwise each is opened, run and closed (streamed). */
  get resident(): boolean {
    return this.engine.resident;
  }

  get config(): TextConfig {
    return this.engine.config;
  }

  /** Numbers of the blocks: 0 … num_hidden_layers − 1. */
  get layers(): number[] {
    return Array.from({ length: this.config.num_hidden_layers }, (_, l) => l);
  }

  /** Names of all hooks, in the order in which they are computed. */
  get hooks(): string[] {
    return this.engine.hooks.map(({ name }) => name);
  }

  /** Identifies the checkpoint's content. */
  get hash(): string {
    return this.engine.checkpoint.hash;
  }

  /**
   * Token ids that end a text, as the checkpoint's generation config and config name them.
   * @throws ModalscopeError when they are no ids
   */
  get eosTokenIds(): number[] {
    return endTokenIds(this.engine.checkpoint);
  }

  /**
   * A weight under its checkpoint's name, as float32.
   * @throws ModalscopeError naming the nearest names when there is none
   */
  weight(name: string): Tensor {
    return weightTensor(this.engine.checkpoint, name);
  }

  /**
   * Tokenizes prompts and pads them to one length; conversations go through the chat template, images through the checkpoint's
   * processor. The batch knows the positions of image, question, answer and special tokens.
   * @throws ModalscopeError when the batch is empty, a prompt is too long, an image is broken or has no place in its
   * prompt, or there is no tokenizer
   */
  async prepare(prompts: Prompt | readonly Prompt[], options: PrepareOptions = {}): Promise<Batch> {
    checkOptions("model.prepare", options, PREPARE_OPTIONS);
    const list = isPrompt(prompts) ? [prompts] : (prompts as readonly Prompt[]);
    let processor: ReturnType<typeof processorOf> | undefined;
    const reader = {
      tokenizer: this.needTokenizer(),
      // Its files are read once for all prompts, and only where one has an image.
      imageProcessor: () => (processor ??= processorOf(this.engine.checkpoint, options.imageProcessor)),
    };
    return this.checked(await readPrompts(this.engine, reader, list, this.padding(options)));
  }

  /**
   * Lines up rows of token ids.
   * @throws ModalscopeError for an empty batch or row, an id outside the vocabulary, or a row that is too long
   */
  batch(rows: readonly (readonly number[])[], options: PadOptions = {}): Batch {
    checkOptions("model.batch", options, PAD_OPTIONS);
    return this.checked(padTokens(rows, this.padding(options)));
  }

  private padding(options: PadOptions): PadOptions {
    const { padTokenId = this.tokenizer?.pad_token_id ?? 0, paddingSide } = options;
    return { padTokenId, paddingSide };
  }

  private checked(batch: Batch): Batch {
    const { vocab_size, max_position_embeddings, vision_config } = this.config;
    const bad = batch.inputIds.findIndex((id) => id >= vocab_size && id !== vision_config?.image_token_id);
    if (bad >= 0) {
      throw new ModalscopeError(
        `The token id ${batch.inputIds[bad]} is too large.`,
        `The vocabulary has ${vocab_size} tokens.`,
      );
    }
    if (vision_config && !batch.images && batch.inputIds.includes(vision_config.image_token_id)) {
      throw new ModalscopeError(
        `The token id ${vision_config.image_token_id} stands for a part of an image, and there is none.`,
        "",
        "Give prompts with images: model.prepare({ text, images }).",
      );
    }
    if (batch.seqLength > max_position_embeddings) {
      throw new ModalscopeError(
        `A prompt has ${batch.seqLength} tokens.`,
        `The model was made for ${max_position_embeddings} (max_position_embeddings).`,
      );
    }
    return batch;
  }

  /** Token ids of a text or of a conversation, special tokens included. An image's place is left as the template writes it. */
  tokenize(prompt: Prompt): number[] {
    const tokenizer = this.needTokenizer();
    checkPrompt(prompt, 0);
    if (typeof prompt === "string") return encode(tokenizer, prompt, true);
    if ("text" in prompt) return encode(tokenizer, prompt.text, true);
    const withVision = this.config.vision_config !== undefined;
    return encode(tokenizer, fillTemplate(tokenizer, prompt, withVision), false);
  }

  /**
   * Text of token ids, special tokens left out unless `skipSpecialTokens` is false.
   * @throws ModalscopeError when there is no tokenizer, or for an id that is none of the vocabulary
   */
  decode(ids: readonly number[] | Int32Array, options: { skipSpecialTokens?: boolean } = {}): string {
    checkOptions("model.decode", options, { skipSpecialTokens: flag });
    if (ids.length === 0) return "";
    const { vocab_size } = this.config;
    const bad = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocab_size));
    if (bad !== undefined) {
      throw new ModalscopeError(
        `model.decode was given the token id ${JSON.stringify(bad)}.`,
        `Ids are integers from 0 to ${vocab_size - 1}.`,
      );
    }
    return this.needTokenizer().decode(Array.from(ids), {
      skip_special_tokens: options.skipSpecialTokens ?? true,
    });
  }

  /**
   * Runs a batch through the model.
   * @throws ModalscopeError for a hook that is unknown or does not run, an edit that does not fit, a position that is
   * none, or more captures, logits and kept keys than the memory holds
   */
  async run(input: Batch | Prompt | readonly Prompt[], options: RunOptions = {}): Promise<RunResult> {
    checkRunOptions(options);
    const batch = isBatch(input) ? input : await this.prepare(input);
    return run(prepareRun(this.engine, batch, options), options);
  }

  /**
   * Continues prompts token by token.
   * @throws ModalscopeError for a hook that is unknown or does not run, an edit that does not fit, more tokens than the
   * model was made for, or more captures, logits and keys than the memory holds
   */
  async generate(
    input: Batch | Prompt | readonly Prompt[],
    options: GenerateOptions = {},
  ): Promise<Generated[]> {
    checkGenerateOptions(options);
    const batch = isBatch(input) ? input : await this.prepare(input);
    warnOfUnusedFields(this.engine.checkpoint);
    return generate(this, batch, options);
  }

  /** Frees the sessions and the checkpoint's files. */
  async close(): Promise<void> {
    await this.engine.pool.close();
    this.engine.checkpoint.close();
  }

  private needTokenizer(): Tokenizer {
    if (this.tokenizer) return this.tokenizer;
    throw new ModalscopeError(
      `${this.path} has no tokenizer.`,
      "There is no tokenizer.json beside the weights.",
      "Give token ids, model.batch([[1, 2, 3]]), or make it from older files in Python: AutoTokenizer.from_pretrained(folder).save_pretrained(folder).",
    );
  }
}

const PREPARE_OPTIONS: OptionChecks<PrepareOptions> = { ...PAD_OPTIONS, imageProcessor: record };

export function isBatch(input: unknown): input is Batch {
  return typeof input === "object" && input !== null && "inputIds" in input;
}
